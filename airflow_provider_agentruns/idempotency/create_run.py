# SPDX-License-Identifier: Apache-2.0
"""
Starts a run once, although workers die, responses are lost, and the service has no idempotency key.

Before the POST, the task stores its intent, and after it, the run's ID. A later try that finds the ID uses that run. A
later try that finds only the intent, or nothing, cannot know whether a run was started, and searches the newest runs
before it starts another one (``find_earlier_run``).

``_Creation.find`` also decides about a task that a person cleared: it uses the old run while that is active, and starts
a new one after it has ended.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pendulum

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import AgentRunNotFoundError, AgentRunsError, AgentRunsValueError
from airflow_provider_agentruns.idempotency import find_earlier_run
from airflow_provider_agentruns.idempotency.find_earlier_run import Window
from airflow_provider_agentruns.text import single_line

if TYPE_CHECKING:
    from airflow_provider_agentruns.idempotency.find_earlier_run import Start
    from airflow_provider_agentruns.idempotency.state import Attempt, Send, Sleep, StateStore
    from airflow_provider_agentruns.models import AgentRun

log = logging.getLogger(__name__)

_KEY = "agent_run_start"

#: The name of ``max_tries`` in the stored value, as version 0.1.0 wrote it.
_MAX_TRIES = "series"

#: A request arrives this long after its intent at the latest: rate limit, retries before it was sent, its timeout.
_LONGEST_DELAY = pendulum.duration(hours=2)

#: The clock of the worker that stored the intent may differ from this one's by this many seconds.
_CLOCK_DIFFERENCE = 10.0


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
    start: Start, *, send: Send, store: StateStore | None, attempt: Attempt, sleep: Sleep = time.sleep
) -> Started:
    """
    Start a run, or find the one that an earlier try of the same task started.

    :param store: Keeps values from one try to the next; None on Airflow before 3.3.
    :raises AgentRunStartInDoubtError: If several runs could be the one that an earlier request started.
    """
    creation = _Creation(start, send, store, attempt, sleep)
    return creation.find() or creation.start()


def record_no_start(store: StateStore | None, attempt: Attempt) -> None:
    """Store that the first try failed before it could start a run, so that the next try does not search for one."""
    if store and attempt.number == 1 and not store.get(_KEY):
        store.set(_KEY, {"start": "", _MAX_TRIES: attempt.max_tries})


@dataclass(frozen=True, slots=True)
class _Creation:
    """One try to start one run."""

    wanted: Start
    send: Send
    store: StateStore | None
    attempt: Attempt
    sleep: Sleep

    def find(self) -> Started | None:
        """Return the run that an earlier try started; None if this try is to start one."""
        try:
            requests.create_run(**asdict(self.wanted))
        except AgentRunsValueError:
            record_no_start(self.store, self.attempt)
            raise
        stored = (self.store.get(_KEY) if self.store else None) or {}
        run_id, since = stored.get("run_id"), stored.get("since")
        if not stored and self.attempt.number > 1:
            # Airflow before 3.3, or somebody deleted the record, as Airflow can do when a task is cleared. A run from
            # before the clear is used only if it is active. Without a store, a run that was started since may be from
            # a try after the clear.
            until = pendulum.now("UTC") + _LONGEST_DELAY
            active_until = until if self.store and self.attempt.was_cleared else self.attempt.restarted_at
            return self._search(Window(self.attempt.earliest_start, until, _CLOCK_DIFFERENCE, active_until))
        if not stored:
            return None
        if stored["start"] != self.wanted.fingerprint:
            if run_id or since:
                log.warning(
                    "An earlier try started or was about to start a run with other arguments (run %s). It is left "
                    "alone, and a new run is started",
                    run_id or "unknown",
                )
            return None
        if run_id:
            return self._use_recorded(run_id, was_cleared=stored[_MAX_TRIES] != self.attempt.max_tries)
        if since:
            # No upper bound by the age of the intent: the last request may have been sent a moment ago.
            intent = pendulum.instance(datetime.fromisoformat(since))
            return self._search(Window(intent, intent + _LONGEST_DELAY, _CLOCK_DIFFERENCE))
        return None

    def start(self) -> Started:
        """Start a run. If the response is lost, search for the run before sending the request again, once."""
        since = pendulum.now("UTC")
        self._save(since=since.isoformat())
        try:
            run = self._post()
        except AgentRunsError as e:
            if not e.in_doubt:
                # Nothing was started. A later try must not search, and use another task's run.
                self._save()
                raise
            log.warning("It is unknown whether a run was started (%s); searching", e)
            self.sleep(find_earlier_run.READ_INTERVAL)
            if found := self._find(Window(since, since + _LONGEST_DELAY)):
                return self._use(found, "was started although the response was lost")
            log.info("No run of %s has appeared; sending the request again", single_line(self.wanted.agent))
            # If this response is lost too, the next try searches.
            run = self._post()
        return self._use(run, "started", is_new=True)

    def _use_recorded(self, run_id: str, *, was_cleared: bool) -> Started | None:
        if was_cleared:
            try:
                run: AgentRun = self.send(requests.get_run, run_id)
            except AgentRunNotFoundError:
                log.warning("The service does not know agent run %s, from before the task was cleared", run_id)
                return None
            if run.status.finished:
                log.info("Agent run %s, from before the task was cleared, has ended; starting a new run", run_id)
                return None
            # From now on it is this task's run, even if it has ended before the next try.
            self._save(run_id=run_id)
        log.info("Agent run %s was started by an earlier try of this task; using it", run_id)
        return Started(run_id, None, is_new=False)

    def _search(self, window: Window) -> Started | None:
        log.info("An earlier try may have started a run of %s; searching", single_line(self.wanted.agent))
        if run := self._find(window):
            return self._use(run, "was started by an earlier try of this task")
        log.info("No such run exists; starting one")
        return None

    def _find(self, window: Window) -> AgentRun | None:
        return find_earlier_run.find_earlier_run(self.wanted, window, send=self.send, sleep=self.sleep)

    def _post(self) -> AgentRun:
        run: AgentRun = self.send(requests.create_run, **asdict(self.wanted))
        return run

    def _use(self, run: AgentRun, origin: str, *, is_new: bool = False) -> Started:
        self._save(run_id=run.id)
        log.info("Agent run %s (%s) %s", single_line(run.id), single_line(self.wanted.agent), origin)
        return Started(run.id, run, is_new)

    def _save(self, **state: Any) -> None:
        if self.store:
            fixed = {"start": self.wanted.fingerprint, _MAX_TRIES: self.attempt.max_tries}
            self.store.set(_KEY, {**fixed, **state})
