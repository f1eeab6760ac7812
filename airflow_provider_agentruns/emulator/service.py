# SPDX-License-Identifier: Apache-2.0
"""
All the state of the offline service, and all that can be done with it. Free of HTTP.

One lock guards it: a test may look at it from its own thread while the web server serves from another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import RLock
from typing import Any, Literal

from airflow_provider_agentruns.emulator.agents import BUILTIN
from airflow_provider_agentruns.emulator.catalog import Catalog
from airflow_provider_agentruns.emulator.checks import ContextReader, check_answer, check_audit
from airflow_provider_agentruns.emulator.engine import Engine
from airflow_provider_agentruns.emulator.history import APART, finished_runs
from airflow_provider_agentruns.emulator.ids import Ids
from airflow_provider_agentruns.emulator.paging import Page, page_of
from airflow_provider_agentruns.emulator.problems import Incomplete, NotFound, NotPending
from airflow_provider_agentruns.emulator.ratings import Ratings
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.scripts import Case, Context, Json, Script
from airflow_provider_agentruns.emulator.threads import Thread, Threads


@dataclass(frozen=True, slots=True)
class AnswerTaken:
    """An answer that the service took."""

    run_id: str
    interrupt_id: str
    input: Any
    at: datetime


class Service:
    """
    The service with its agents, threads and runs.

    The same seed and the same order of creations give the same ids and the same content.

    :param seed: Another seed gives other ids and other content.
    :param speed: How many seconds of an agent's work are done in one second.
    :param agents: The scripts by agent type; for more than the built-in ones, ``{**BUILTIN, "mine": script}``.
    :param clock: Returns the present moment in UTC.
    """

    def __init__(
        self,
        seed: int = 0,
        speed: float = 1.0,
        *,
        agents: Mapping[str, Script] = BUILTIN,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self.speed = speed
        self.clock = clock
        self.lock = RLock()
        #: Every answer that was taken, oldest first.
        self.answers: list[AnswerTaken] = []
        #: All runs by id, oldest first; looking one up brings it up to now.
        self.runs: Mapping[str, Run] = _Runs(self)
        self._ids = Ids(seed)
        account_id = self._ids.uuid("account")
        self.agents = Catalog(agents, self._ids, clock())
        self._threads = Threads(self._ids, {"id": account_id, "name": "Offline account", "email": None})
        self._ratings = Ratings(self._ids, account_id)
        self._contexts = ContextReader()
        self._runs: dict[str, Run] = {}
        self._runs_by_age: list[Run] = []
        self._listeners: dict[str, set[Callable[[], None]]] = defaultdict(set)
        self._finished_runs = 0

    def create_run(
        self,
        agent: str,
        *,
        business_id: str | None = None,
        context_type: str | None = None,
        context_id: str | None = None,
        thread_id: str | None = None,
    ) -> Run:
        """
        Start a run, in a new thread unless one is given.

        :raises NotFound: If there is no such agent or thread.
        :raises Incomplete: If there is neither a thread nor a context.
        :raises Unprocessable: If the business is in audit.
        """
        with self.lock:
            script = self.agents.script(agent)
            thread = self._threads.get(thread_id) if thread_id is not None else None
            context = self._contexts.read(business_id, context_type, context_id) or (thread.context if thread else None)
            if context is None:
                raise Incomplete("A run needs a business_id, a context_type with a context_id, or a thread_id")
            check_audit(context)
            now = self.clock()
            thread = thread or self._threads.create(agent, context, now)
            number = len(self._runs_by_age) - self._finished_runs
            run = Run(
                id=self._ids.uuid("run", number),
                agent=agent,
                thread_id=thread.id,
                context=context,
                requester=thread.requester,
                lock=self.lock,
                changes=[now],
                statuses=[(now, "running")],
            )
            run.engine = Engine(run, script(Case(run.id, agent, context, self._ids.rng(run.id))), self._ids, self.speed)
            self._runs[run.id] = run
            self._runs_by_age.append(run)
            thread.runs.append(run)
            return self._up_to_now(run)

    def get_run(self, run_id: str) -> Run:
        """
        Look a run up, as it is now.

        :raises NotFound: If there is none with that id.
        """
        with self.lock:
            run = self._runs.get(run_id.lower())
            if run is None:
                raise NotFound(f"There is no run {run_id}")
            return self._up_to_now(run)

    def list_runs(self, page: int = 1, per_page: int = 20) -> Page[Run]:
        """Give a page of the runs, newest first."""
        with self.lock:
            found = page_of(self._runs_by_age, page, per_page)
            for run in found.items:
                self._up_to_now(run)
            return found

    def answer(self, run_id: str, interrupt_id: str, answer: Any) -> Run:
        """
        Answer one pending interrupt.

        :raises NotFound: If there is no such run.
        :raises NotPending: If that interrupt does not wait for an answer.
        :raises Unprocessable: If the answer does not fit what was asked.
        """
        with self.lock:
            run = self.get_run(run_id)
            question = run.pending(interrupt_id)
            if run.engine is None or question is None:
                raise NotPending(f"Run {run.id} is {run.status}, and interrupt {interrupt_id} is not pending")
            check_answer(question.value, answer)
            now = self.clock()
            run.engine.answer(question, answer, now)
            self.answers.append(AnswerTaken(run.id, interrupt_id, answer, now))
            for listener in self._listeners.get(run.id, ()):
                listener()
            return self._up_to_now(run)

    @property
    def ratings(self) -> list[Json]:
        """Every rating that was given, oldest first."""
        return list(self._ratings.all)

    def rate(self, run_id: str, artifact_id: str, rating: str, comment: str | None = None) -> Json:
        """
        Rate an artifact.

        :param rating: ``POSITIVE`` or ``NEGATIVE``.
        :raises NotFound: If there is no such run.
        :raises Unprocessable: If the run has no such artifact.
        """
        with self.lock:
            return self._ratings.rate(self.get_run(run_id), artifact_id, rating, comment, self.clock())

    def create_thread(
        self,
        agent: str,
        *,
        business_id: str | None = None,
        context_type: str | None = None,
        context_id: str | None = None,
    ) -> Thread:
        """
        Open a thread.

        :raises NotFound: If there is no such agent.
        :raises Incomplete: If half a context is given.
        """
        with self.lock:
            self.agents.script(agent)
            context = self._contexts.read(business_id, context_type, context_id) or Context()
            return self._threads.create(agent, context, self.clock())

    def get_thread(self, thread_id: str) -> Thread:
        """
        Look a thread up, as it is now.

        :raises NotFound: If there is none with that id.
        """
        with self.lock:
            return self._thread_up_to_now(self._threads.get(thread_id))

    def list_threads(self, page: int = 1, per_page: int = 20, *, business_id: str | None = None) -> Page[Thread]:
        """Give a page of the threads, of all or of one business, newest first."""
        with self.lock:
            found = page_of(self._threads.of(business_id), page, per_page)
            for thread in found.items:
                self._thread_up_to_now(thread)
            return found

    def add_finished_runs(
        self, count: int, *, agent: str = "instant", status: Literal["completed", "error"] = "completed"
    ) -> list[str]:
        """
        Add runs of the past, older than all that are there, in a thread of their own. Fast.

        :return: Their ids, oldest first.
        """
        with self.lock:
            newer = self._runs_by_age[0].created_at if self._runs_by_age else self.clock()
            numbers = range(self._finished_runs, self._finished_runs + count)
            thread = self._threads.create(agent, Context(), newer - APART * count)
            thread.runs = finished_runs(thread, status, numbers=numbers, ids=self._ids, lock=self.lock)
            self._finished_runs += count
            self._runs_by_age[:0] = thread.runs
            self._runs.update((run.id, run) for run in thread.runs)
            return [run.id for run in thread.runs]

    @contextmanager
    def listening(self, run_id: str, listener: Callable[[], None]) -> Iterator[None]:
        """Have a function called, from any thread, whenever an answer for a run was taken."""
        with self.lock:
            self._listeners[run_id].add(listener)
        try:
            yield
        finally:
            with self.lock:
                self._listeners[run_id].discard(listener)
                if not self._listeners[run_id]:
                    del self._listeners[run_id]

    def _up_to_now(self, run: Run) -> Run:
        if run.engine:
            run.engine.drive(self.clock())
        return run

    def _thread_up_to_now(self, thread: Thread) -> Thread:
        if thread.newest:
            self._up_to_now(thread.newest)
        return thread


class _Runs(Mapping[str, Run]):
    def __init__(self, service: Service) -> None:
        self._service = service

    def __getitem__(self, run_id: str) -> Run:
        try:
            return self._service.get_run(run_id)
        except NotFound:
            raise KeyError(run_id) from None

    def __iter__(self) -> Iterator[str]:
        with self._service.lock:
            return iter([run.id for run in self._service._runs_by_age])

    def __len__(self) -> int:
        return len(self._service._runs_by_age)
