# SPDX-License-Identifier: Apache-2.0
"""Plays a history of a task that starts a run, and checks the promises at each request and after each try."""

from __future__ import annotations

from functools import partial
from typing import Any, Self
from unittest.mock import patch

import pendulum

from airflow_provider_agentruns.exceptions import AgentRunsError, AgentRunStartInDoubtError
from airflow_provider_agentruns.idempotency.create_run import Started, start_once
from airflow_provider_agentruns.idempotency.listing_search import Start
from airflow_provider_agentruns.idempotency.state import Attempt
from tests.conformance.start_histories import STARTS, History, Sibling, Try, World
from tests.conformance.worker import Worker
from tests.idempotency.service import Clock, Service, show
from tests.support.scripted_server import Received, Reply, errors
from tests.support.state_store import StateStore


class StartingService(Service):
    """The service of a history. ``own`` contains the IDs of the runs that the task started."""

    def __init__(self, clock: Clock, world: World) -> None:
        super().__init__(clock)
        self.own: list[str] = []
        self.world = world
        self._looks = self._mixed_for = 0
        self._mixed: list[dict[str, Any]] = []
        self.skew, self.page_size, self.shows_after = world.skew, world.page_size, world.shows_after
        self.tells_time, self.tells_total = world.tells_time, world.tells_total
        self.threads_by_business = self.all_threads = world.evidence == "listing" or errors(404, "no such path")
        self.threads_tell = world.evidence == "thread"

    def add_run(self, agent: str = "instant", **fields: Any) -> dict[str, Any]:
        run = super().add_run(agent, **fields)
        if self.world.evidence == "run":
            run["business_id"] = fields.get("business_id")
        self.at(self.world.lasts, lambda: run.update(status="completed", updated_at=self.now.isoformat()))
        return run

    def add_sibling(self, sibling: Sibling, age: float = 0.0) -> None:
        same = sibling.about == "same"
        thread_id = "t-own" if same and self.world.about == "thread" else None
        self.add_run(sibling.agent, business_id="b-1" if same else "b-2", thread_id=thread_id, age=age)

    def _create(self, body: dict[str, Any]) -> Reply:
        reply = super()._create(body)
        self.own.append(str(self.runs[-1]["id"]))
        return reply

    def _get(self, request: Received) -> Reply:
        if request.path == "/v1/runs" and request.query["page"] == "1":
            self._looks += 1
        return super()._get(request)

    def _in_order(self) -> list[dict[str, Any]]:
        self.order = self.world.orders[self._looks % len(self.world.orders)]
        if self.order != "none":
            return super()._in_order()
        # In alternating order, so that no page appears ordered, and the same for all pages of one search.
        self.order = "newest first"
        rest = super()._in_order()
        if self._mixed_for != self._looks:
            self._mixed_for, self._mixed = self._looks, [rest.pop(-(number % 2)) for number in range(len(rest))]
        return self._mixed + [run for run in rest if run not in self._mixed]


class StartPlay:
    """Plays a history. ``outcomes`` are the types of all results and errors; NoneType if a worker died."""

    def __init__(self, history: History) -> None:
        self.world = history.world
        self.clock = Clock()
        self.service = StartingService(self.clock, history.world)
        self.service.carried_out = self._check_start
        self.store = StateStore() if history.world.has_store else None
        self.start: Start = STARTS[history.world.about]
        self.acknowledged: str | None = None
        self.outcomes: set[str] = set()
        self._tries = history.tries
        self._number = 0
        self._series = 1
        self._own_before_clear = 0
        self._seen_before_clear = 0
        self._has_forgotten = self._has_started = False
        self._noted: dict[str, int] = {}
        self._first_possible = self.clock.moment.subtract(seconds=history.world.dag_age)
        for sibling in sorted(history.world.siblings, key=lambda sibling: sibling.at):
            if sibling.at < 0:
                self.service.add_sibling(sibling, age=-sibling.at)
            else:
                self.service.at(sibling.at, partial(self.service.add_sibling, sibling))

    def play(self) -> Self:
        with patch.object(pendulum, "now", self.clock.now):
            for one in self._tries:
                self.make(one)
            self.clock.sleep(600)
            self._check_end(self.make(Try()), self.make(Try()))
        return self

    def make(self, one: Try) -> Started | AgentRunsError | None:
        """Make a try, and return its result, or None if the worker dies."""
        self.clock.sleep(one.pause)
        self.service.catch_up()
        self.clock.ahead = one.ahead
        self._number += 1
        if one.cleared:
            self._series += 1
            self._own_before_clear = len(self.service.own)
            self.acknowledged = None
            self._seen_before_clear = len(self.service.seen)
            forgets = one.forgets and not self.world.has_twin
            self._has_forgotten = forgets or (self._has_forgotten and not self._has_started)
            self._has_started = False
        self._read_store()
        if self.store and one.forgets and not self.world.has_twin:
            self.store.values.clear()
        self.service.posts_faults, self.service.gets_faults = list(one.posts), list(one.gets)
        before = len(self.service.posts)
        attempt = Attempt(self._number, self._series, self._first_possible, was_cleared=self._series > 1)
        outcome = Worker(self.service, self.store, dies=one.dies).do(start_once, self.start, attempt=attempt)
        show(f"{self.clock.moment:HH:mm:ss.S} try {self._number} of series {self._series}: {outcome!r}")
        self.outcomes.add(type(outcome).__name__)
        self._check_outcome(outcome, len(self.service.posts) - before)
        return outcome

    def _read_store(self) -> None:
        note = self.store.get("agent_run_start") if self.store else None
        if note and "run_id" in note:
            self._noted[note["run_id"]] = note["series"]

    def _check_start(self, request: Received) -> None:
        """A second run starts only after the task was cleared, and after the first run has ended."""
        is_first = not self._has_started
        self._has_started |= any(request is sent for sent in self.service.seen[self._seen_before_clear :])
        if not self.service.own:
            return
        # The task can mistake a twin for its own run.
        last = next(reversed(self._noted), "") if self.world.has_twin else self.service.own[-1]
        may_start = (self._has_forgotten and is_first) or (last in self._noted and self._noted[last] < self._series)
        assert may_start, f"a second run is started; {self.service.own} are there"
        assert self.service.run(last)["status"] == "completed", f"a second run is started while {last} is active"

    def _check_outcome(self, outcome: Started | AgentRunsError | None, posts: int) -> None:
        if self.acknowledged:
            assert posts == 0, "a run is started although one is known"
        if isinstance(outcome, AgentRunStartInDoubtError):
            assert not self.world.tells, f"in doubt, although the service tells: {outcome}"
        if not isinstance(outcome, Started):
            return
        if not self.world.has_twin:
            assert self.acknowledged in (None, outcome.run_id), f"{self.acknowledged} is lost"
            self.acknowledged = outcome.run_id
            # If the service shows no subjects, the only listed run may be used, but not in place of the task's own.
            if self.world.tells or len(self.service.own) > self._own_before_clear:
                assert outcome.run_id == self.service.own[-1], f"{outcome.run_id} is not the task's own"
        if outcome.is_new:
            assert outcome.run_id == self.service.own[-1]

    def _check_end(self, *outcomes: Started | AgentRunsError | None) -> None:
        """Without faults, a try ends with the run, or with an error that names the possible runs."""
        first, second = outcomes
        if isinstance(first, AgentRunStartInDoubtError):
            assert isinstance(second, AgentRunStartInDoubtError)
            return
        assert isinstance(first, Started), first
        if isinstance(second, AgentRunStartInDoubtError):
            # Without a store, a later try is in doubt again.
            assert not self.world.has_store
            return
        assert isinstance(second, Started), second
        assert first.run_id == second.run_id or (self.world.has_twin and not self.world.has_store)
