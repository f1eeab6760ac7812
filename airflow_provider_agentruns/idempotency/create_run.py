# SPDX-License-Identifier: Apache-2.0
"""
Starts a run once, although workers die, responses are lost, and the service has no idempotency key.

Before the POST, the task stores its intent, and after it, the run's ID. A later try that finds the ID uses that run. A
later try that finds only the intent cannot know whether a run was started, and searches the newest runs before it
starts another one.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pendulum

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import AgentRunNotFoundError, AgentRunsError
from airflow_provider_agentruns.idempotency import recovery
from airflow_provider_agentruns.text import single_line

if TYPE_CHECKING:
    from airflow_provider_agentruns.idempotency.recovery import Start
    from airflow_provider_agentruns.idempotency.state import Attempt, Log, Send, Sleep, StateStore
    from airflow_provider_agentruns.models import AgentRun

_KEY = "agent_run_start"

#: The name of ``max_tries`` in the stored value, as version 0.1.0 wrote it.
_MAX_TRIES = "series"

#: A request arrives this long after its intent at the latest: rate limit, retries before it was sent, its timeout.
_LONGEST_DELAY = pendulum.duration(hours=2)

#: The clock of the worker that stored the intent may differ from this one's by this much.
_CLOCK_DIFFERENCE = pendulum.duration(seconds=10)


@dataclass(frozen=True, slots=True)
class Started:
    """
    A run, and its origin.

    :param run: The run as the service just showed it; None if an earlier try is known to have started it.
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
    sleep: Sleep = time.sleep,
) -> Started:
    """
    Start a run, or find the one that an earlier try of the same task started.

    :param store: Keeps values from one try to the next; None on Airflow before 3.3. Then every later try is in doubt.
    :raises AgentRunStartInDoubtError: If several runs could be the one that an earlier request started.
    """
    # Rejects wrong arguments before anything is read or stored.
    requests.create_run(**asdict(start))
    creation = _Creation(start, send, store, attempt, log, sleep)

    stored = (store.get(_KEY) if store else None) or {}
    if stored and stored["start"] != start.fingerprint:
        log.warning(
            "An earlier try started or was about to start a run with other arguments (run %s). It is left alone, and "
            "a new run is started",
            stored.get("run_id", "unknown"),
        )
    elif run_id := stored.get("run_id"):
        was_cleared = stored[_MAX_TRIES] != attempt.max_tries
        if not was_cleared or _is_active(run_id, send, log):
            if was_cleared:
                # From now on it is this task's run, even if it has ended before the next try.
                creation.save(run_id=run_id)
            log.info("Agent run %s was started by an earlier try of this task; using it", run_id)
            return Started(run_id, None, is_new=False)
        log.info("Agent run %s, from before the task was cleared, has ended; starting a new run", run_id)
    elif since := stored.get("since"):
        # No upper bound by the age of the intent: the last request may have been sent a moment ago.
        intent = pendulum.instance(datetime.fromisoformat(since))
        if found := creation.find_earlier(intent, intent + _LONGEST_DELAY):
            return found
    elif store is None and attempt.number > 1 and (found := creation.find_earlier(attempt.earliest_start, None)):
        return found
    return creation.start()


class _Creation:
    """One try to start one run."""

    def __init__(
        self, start: Start, send: Send, store: StateStore | None, attempt: Attempt, log: Log, sleep: Sleep
    ) -> None:
        self._start = start
        self._send = send
        self._store = store
        self._attempt = attempt
        self._log = log
        self._sleep = sleep

    def save(self, **state: Any) -> None:
        """Store the state of this try."""
        if self._store:
            fixed = {"start": self._start.fingerprint, _MAX_TRIES: self._attempt.max_tries}
            self._store.set(_KEY, {**fixed, **state})

    def find_earlier(self, since: pendulum.DateTime, until: pendulum.DateTime | None) -> Started | None:
        """Return the run that an earlier try started, if there is one."""
        self._log.info("An earlier try may have started a run of %s; searching", single_line(self._start.agent))
        if run := self._find(since, until=until, margin=_CLOCK_DIFFERENCE):
            return self._use(run, "was started by an earlier try of this task")
        self._log.info("No such run exists; starting one")
        return None

    def start(self) -> Started:
        """Start a run. If the response is lost, search for the run before sending the request again, once."""
        since = pendulum.now("UTC")
        self.save(since=since.isoformat())
        try:
            run = self._post()
        except AgentRunsError as e:
            if not e.in_doubt:
                # Nothing was started. A later try must not search, and use another task's run.
                self.save()
                raise
            self._log.warning("It is unknown whether a run was started (%s); searching", e)
            self._sleep(recovery.READ_INTERVAL)
            if found := self._find(since):
                return self._use(found, "was started although the response was lost")
            self._log.info("No run of %s has appeared; sending the request again", single_line(self._start.agent))
            # If this response is lost too, the next try searches.
            run = self._post()
        return self._use(run, "started", is_new=True)

    def _find(self, since: pendulum.DateTime, **window: Any) -> AgentRun | None:
        return recovery.find_started(
            self._start, since=since, **window, send=self._send, log=self._log, sleep=self._sleep
        )

    def _post(self) -> AgentRun:
        run: AgentRun = self._send(requests.create_run, **asdict(self._start))
        return run

    def _use(self, run: AgentRun, origin: str, *, is_new: bool = False) -> Started:
        self.save(run_id=run.id)
        self._log.info("Agent run %s (%s) %s", single_line(run.id), single_line(self._start.agent), origin)
        return Started(run.id, run, is_new)


def _is_active(run_id: str, send: Send, log: Log) -> bool:
    """Return whether a run from before the task was cleared has not ended. If so, no second run is started."""
    try:
        run: AgentRun = send(requests.get_run, run_id)
    except AgentRunNotFoundError:
        log.warning("The service does not know agent run %s, from before the task was cleared", run_id)
        return False
    return not run.status.finished
