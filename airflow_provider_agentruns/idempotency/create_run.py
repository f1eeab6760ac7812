# SPDX-License-Identifier: Apache-2.0
"""
Starts a run once, although workers die, responses are lost, and the service has no idempotency key.

Before the POST, the task stores its intent, and after it, the run's ID. A later try that finds the ID uses that run. A
later try that finds only the intent cannot know whether a run was started, and searches the newest runs before it
starts another one (``find_earlier_run``).

``start_once`` also decides about a task that a person cleared: it uses the old run while that is active, and starts a
new one after it has ended.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pendulum

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import AgentRunNotFoundError, AgentRunsError
from airflow_provider_agentruns.idempotency import find_earlier_run
from airflow_provider_agentruns.text import single_line

if TYPE_CHECKING:
    from airflow_provider_agentruns.idempotency.find_earlier_run import Start
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
        if not was_cleared or creation.is_active(run_id):
            if was_cleared:
                # From now on it is this task's run, even if it has ended before the next try.
                creation.save(run_id=run_id)
            log.info("Agent run %s was started by an earlier try of this task; using it", run_id)
            return Started(run_id, None, is_new=False)
        log.info("Agent run %s, from before the task was cleared, has ended; starting a new run", run_id)
    elif since := stored.get("since"):
        # No upper bound by the age of the intent: the last request may have been sent a moment ago.
        intent = pendulum.instance(datetime.fromisoformat(since))
        if found := creation.find_earlier(intent, intent):
            return found
    elif store is None and attempt.number > 1:
        found = creation.find_earlier(attempt.earliest_start, pendulum.now("UTC"))
        if found:
            return found
    return creation.start()


@dataclass(frozen=True, slots=True)
class _Creation:
    """One try to start one run."""

    wanted: Start
    send: Send
    store: StateStore | None
    attempt: Attempt
    log: Log
    sleep: Sleep

    def save(self, **state: Any) -> None:
        """Store the state of this try."""
        if self.store:
            fixed = {"start": self.wanted.fingerprint, _MAX_TRIES: self.attempt.max_tries}
            self.store.set(_KEY, {**fixed, **state})

    def find_earlier(self, since: pendulum.DateTime, latest: pendulum.DateTime) -> Started | None:
        """Return the run that an earlier try started, or None; ``latest`` is when the last earlier try began."""
        self.log.info("An earlier try may have started a run of %s; searching", single_line(self.wanted.agent))
        if run := self._find(since, latest, _CLOCK_DIFFERENCE):
            return self._use(run, "was started by an earlier try of this task")
        self.log.info("No such run exists; starting one")
        return None

    def is_active(self, run_id: str) -> bool:
        """Return whether a run from before the task was cleared has not ended. If so, no second run is started."""
        try:
            run: AgentRun = self.send(requests.get_run, run_id)
        except AgentRunNotFoundError:
            self.log.warning("The service does not know agent run %s, from before the task was cleared", run_id)
            return False
        return not run.status.finished

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
            self.log.warning("It is unknown whether a run was started (%s); searching", e)
            self.sleep(find_earlier_run.READ_INTERVAL)
            if found := self._find(since, since, pendulum.duration()):
                return self._use(found, "was started although the response was lost")
            self.log.info("No run of %s has appeared; sending the request again", single_line(self.wanted.agent))
            # If this response is lost too, the next try searches.
            run = self._post()
        return self._use(run, "started", is_new=True)

    def _find(self, since: pendulum.DateTime, latest: pendulum.DateTime, margin: pendulum.Duration) -> AgentRun | None:
        until = latest + _LONGEST_DELAY
        return find_earlier_run.find_started(
            self.wanted, since=since, until=until, margin=margin, send=self.send, log=self.log, sleep=self.sleep
        )

    def _post(self) -> AgentRun:
        run: AgentRun = self.send(requests.create_run, **asdict(self.wanted))
        return run

    def _use(self, run: AgentRun, origin: str, *, is_new: bool = False) -> Started:
        self.save(run_id=run.id)
        self.log.info("Agent run %s (%s) %s", single_line(run.id), single_line(self.wanted.agent), origin)
        return Started(run.id, run, is_new)
