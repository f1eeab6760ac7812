# SPDX-License-Identifier: Apache-2.0
"""
Starts a run once, even if a worker dies or a response is lost. The service has no idempotency key.

The task stores its intent before the POST and the run's ID after it. A later try uses the stored run. Without one, it
searches the newest runs (``listing_search``) before it starts a run. A cleared task uses its old run while that is
active.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pendulum

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import AgentRunNotFoundError, AgentRunsError, AgentRunsValueError
from airflow_provider_agentruns.idempotency import listing_search
from airflow_provider_agentruns.idempotency.listing_search import Start, Window
from airflow_provider_agentruns.text import single_line

if TYPE_CHECKING:
    from airflow_provider_agentruns.idempotency.state import Attempt, Send, Sleep, StateStore
    from airflow_provider_agentruns.models import AgentRun

log = logging.getLogger(__name__)

_KEY = "agent_run_start"
#: The name of ``max_tries`` in the stored value.
_MAX_TRIES = "series"

#: The longest time between an intent and the arrival of its request: rate limit, retries, and timeout.
_LONGEST_DELAY = pendulum.duration(hours=2)
#: The largest difference between the clocks of two workers, in seconds.
_CLOCK_DIFFERENCE = 10.0


@dataclass(frozen=True, slots=True)
class Started:
    """The ID of a run, the run itself if this try has seen it, and whether this try started it."""

    run_id: str
    run: AgentRun | None
    is_new: bool


def start_once(
    start: Start, *, send: Send, store: StateStore | None, attempt: Attempt, sleep: Sleep = time.sleep
) -> Started:
    """
    Start a run, or find the one that an earlier try of the same task started.

    :raises AgentRunStartInDoubtError: If several runs could be the one that an earlier request started.
    """
    creation = _Creation(start, send, store, attempt, sleep)
    return creation.find() or creation.start()


def record_no_start(store: StateStore | None, attempt: Attempt) -> None:
    """Store that the first try started nothing, so that the next try does not search."""
    if store and attempt.number == 1 and not store.get(_KEY):
        store.set(_KEY, {"start": "", _MAX_TRIES: attempt.max_tries})


@dataclass(frozen=True, slots=True)
class _Creation:
    wanted: Start
    send: Send
    store: StateStore | None
    attempt: Attempt
    sleep: Sleep

    def find(self) -> Started | None:
        try:
            requests.create_run(**asdict(self.wanted))
        except AgentRunsValueError:
            record_no_start(self.store, self.attempt)
            raise
        stored = (self.store.get(_KEY) if self.store else None) or {}
        run_id, since = stored.get("run_id"), stored.get("since")
        if not stored:
            if self.attempt.number == 1:
                return None
            # Airflow before 3.3, or Airflow deleted the record when the task was cleared. A run from before the clear
            # is used only if it is active. Without a store, a later run may be from a try after the clear.
            until = pendulum.now("UTC") + _LONGEST_DELAY
            active_until = until if self.store and self.attempt.was_cleared else self.attempt.restarted_at
            return self._search(Window(self.attempt.earliest_start, until, _CLOCK_DIFFERENCE, active_until))
        if stored["start"] != self.wanted.fingerprint:
            if run_id or since:
                log.warning(
                    "An earlier try may have started a run with other arguments (run %s). This try does not use that "
                    "run, and starts a new one",
                    run_id or "unknown",
                )
            return None
        if run_id:
            return self._use_recorded(run_id, was_cleared=stored[_MAX_TRIES] != self.attempt.max_tries)
        if not since:
            return None
        intent = pendulum.instance(datetime.fromisoformat(since))
        return self._search(Window(intent, intent + _LONGEST_DELAY, _CLOCK_DIFFERENCE))

    def start(self) -> Started:
        """Start a run. If the response is lost, search for the run before sending the request again, once."""
        since = pendulum.now("UTC")
        self._save(since=since.isoformat())
        post = partial(self.send, requests.create_run, **asdict(self.wanted))
        try:
            run: AgentRun = post()
        except AgentRunsError as e:
            if not e.in_doubt:
                # Nothing was started. A later try must not search, because it could find another task's run.
                self._save()
                raise
            log.warning("The response to the start of a run was lost: %s", e)
            self.sleep(listing_search.READ_INTERVAL)
            if found := self._search(Window(since, since + _LONGEST_DELAY)):
                return found
            # If this response is lost, too, the next try searches.
            run = post()
        return self._use(run, is_new=True)

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
            # The next try uses this run even if it has ended by then.
            self._save(run_id=run_id)
        log.info("Agent run %s was started by an earlier try of this task; using it", run_id)
        return Started(run_id, None, is_new=False)

    def _search(self, window: Window) -> Started | None:
        log.info("A run of %s may have been started; searching for it", single_line(self.wanted.agent))
        if run := listing_search.find_earlier_run(self.wanted, window, send=self.send, sleep=self.sleep):
            return self._use(run, is_new=False)
        log.info("No such run exists; starting one")
        return None

    def _use(self, run: AgentRun, *, is_new: bool) -> Started:
        self._save(run_id=run.id)
        origin = "is started" if is_new else "was started by an earlier request"
        log.info("Agent run %s (%s) %s", single_line(run.id), single_line(self.wanted.agent), origin)
        return Started(run.id, run, is_new)

    def _save(self, **state: Any) -> None:
        if self.store:
            fixed = {"start": self.wanted.fingerprint, _MAX_TRIES: self.attempt.max_tries}
            self.store.set(_KEY, {**fixed, **state})
