# SPDX-License-Identifier: Apache-2.0
"""
Starting a run once, although workers die and answers get lost, and the service knows no idempotency key.

Before the POST, the intent to start is written into the task's store, and after it the run's id. A later try
that finds the id has its run. One that finds only the intent cannot know whether a run was started, and looks
for it among the newest runs before it starts another.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pendulum

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import AgentRunNotFoundError, AgentRunsError
from airflow_provider_agentruns.idempotency.recovery import find_started

if TYPE_CHECKING:
    from airflow_provider_agentruns.idempotency.state import Attempt, Log, Send, StateStore
    from airflow_provider_agentruns.models import AgentRun

_KEY = "agent_run_start"

#: For how long, in seconds, a run that the service has taken may need to show in the listing.
_SETTLES_IN = 8.0

#: Pause between two looks for it, in seconds.
_BETWEEN_LOOKS = 2.0

#: How long after the intent a request can still arrive: pacing, retries before it was sent, its own timeout.
_LONGEST_ON_ITS_WAY = pendulum.duration(hours=2)

#: By how much the clock of the worker that wrote the intent down may differ from this one's.
_BETWEEN_WORKERS = pendulum.duration(seconds=10)


@dataclass(frozen=True, slots=True)
class Start:
    """Which run is wanted: the arguments of ``POST /v1/runs``."""

    agent: str
    business_id: str | None = None
    context_type: str | None = None
    context_id: str | None = None
    thread_id: str | None = None

    @property
    def fingerprint(self) -> str:
        """Tells one wanted run from another, without keeping the arguments themselves."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Started:
    """
    A run, and how it came to be this task's.

    :param run: The run as the service just showed it; None where an earlier try is known to have started it.
    :param is_new: Whether it was started just now, so that the service may not show it everywhere yet.
    """

    run_id: str
    run: AgentRun | None
    is_new: bool


def start_once(
    start: Start,
    *,
    send: Send,
    store: StateStore | None,
    attempt: Attempt,
    log: Log,
    sleep: Callable[[float], None] = time.sleep,
) -> Started:
    """
    Start a run, or find the one that an earlier try of the same task started.

    :param store: What outlives a try; None on Airflow before 3.3. Then every later try counts as in doubt.
    :param sleep: Pauses for some seconds.
    :raises AgentRunStartInDoubtError: If several runs could be the one that an earlier request started.
    """
    # What cannot be sent is refused before anything is read or written.
    requests.create_run(**asdict(start))

    note = store.get(_KEY) if store else None
    in_doubt_since: pendulum.DateTime | None = None
    until: pendulum.DateTime | None = None
    if note and note["start"] != start.fingerprint:
        log.warning(
            "An earlier try was to start a run with other arguments (run %s): it is left alone, and one is started",
            note.get("run_id", "unknown"),
        )
    elif note and (run_id := note.get("run_id")):
        if note["series"] == attempt.max_tries or _goes_on(run_id, send, log):
            if store and note["series"] != attempt.max_tries:
                # From now on it is the run of this series, however it has ended when a later try looks.
                store.set(_KEY, {**note, "series": attempt.max_tries})
            log.info("Agent run %s was started by an earlier try of this task: no other one is started", run_id)
            return Started(run_id, None, is_new=False)
        log.info("Agent run %s of before the task was cleared has ended: a new one is started", run_id)
    elif note and (since := note.get("since")):
        in_doubt_since = pendulum.instance(datetime.fromisoformat(since))
        until = in_doubt_since + _LONGEST_ON_ITS_WAY
    elif store is None and attempt.number > 1:
        in_doubt_since = attempt.earliest_start

    if in_doubt_since is not None:
        log.info("An earlier try may have started a run of %s: looking for it before starting one", start.agent)
        # However long ago the intent is: the last request may have been sent only a moment ago.
        window = (in_doubt_since, until, _BETWEEN_WORKERS)
        if run := _find(start, window, _SETTLES_IN, send, log, sleep):
            return _remember(run, start, store, attempt, log, "was started by an earlier try of this task")
        log.info("No such run is there: one is started")
    return _start(start, send, store, attempt, log, sleep)


def _start(
    start: Start, send: Send, store: StateStore | None, attempt: Attempt, log: Log, sleep: Callable[[float], None]
) -> Started:
    since = pendulum.now("UTC")
    note = {"start": start.fingerprint, "series": attempt.max_tries}
    if store:
        store.set(_KEY, {**note, "since": since.isoformat()})
    try:
        run = _post(start, send)
    except AgentRunsError as e:
        if not e.in_doubt:
            if store:
                # Surely nothing was started: a later try need not look, and take somebody else's run for its own.
                store.set(_KEY, note)
            raise
        log.warning("It is unknown whether a run was started (%s): looking for it", e)
        sleep(_BETWEEN_LOOKS)
        if found := _find(start, (since, None, pendulum.duration()), _SETTLES_IN, send, log, sleep):
            return _remember(found, start, store, attempt, log, "was started although its answer was lost")
        log.info("No run of %s has come up: the request did not arrive, and is sent again", start.agent)
        # Once. Should its fate be unknown as well, it is for the next try to look again.
        run = _post(start, send)
    return _remember(run, start, store, attempt, log, "started", is_new=True)


def _post(start: Start, send: Send) -> AgentRun:
    run: AgentRun = send(requests.create_run, **asdict(start))
    return run


def _find(
    start: Start,
    window: tuple[pendulum.DateTime, pendulum.DateTime | None, pendulum.Duration],
    patience: float,
    send: Send,
    log: Log,
    sleep: Callable[[float], None],
) -> AgentRun | None:
    """
    Look for the run, again and again for a while: the service may only now take up a request that seemed lost.

    :param window: Since when, until when, and by how much the first may be off.
    :param patience: For how many seconds to look.
    """
    begun = pendulum.now("UTC")
    since, until, margin = window
    while True:
        # Decided before the look, which may be slow: the last one begins when the patience is over.
        last = (pendulum.now("UTC") - begun).total_seconds() >= patience
        run = find_started(start, since=since, until=until, margin=margin, last=last, send=send, log=log)
        if run or last:
            return run
        sleep(_BETWEEN_LOOKS)


def _remember(
    run: AgentRun, start: Start, store: StateStore | None, attempt: Attempt, log: Log, how: str, *, is_new: bool = False
) -> Started:
    if store:
        store.set(_KEY, {"start": start.fingerprint, "series": attempt.max_tries, "run_id": run.id})
    log.info("Agent run %s (%s) %s", run.id, start.agent, how)
    return Started(run.id, run, is_new)


def _goes_on(run_id: str, send: Send, log: Log) -> bool:
    """Whether a run of before the task was cleared is still at work: then clearing asks for no second one."""
    try:
        run: AgentRun = send(requests.get_run, run_id)
    except AgentRunNotFoundError:
        log.warning("Agent run %s of before the task was cleared is unknown to the service", run_id)
        return False
    return not run.status.finished
