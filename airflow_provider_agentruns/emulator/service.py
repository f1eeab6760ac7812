# SPDX-License-Identifier: Apache-2.0
"""
The state of the offline service and everything that can be done with it. Free of HTTP.

One lock protects it: a test may read it from its own thread while the web server serves from another.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any, Literal

from airflow_provider_agentruns.emulator.agents import BUILTIN
from airflow_provider_agentruns.emulator.errors import NotFoundError, RequestError
from airflow_provider_agentruns.emulator.ids import Ids, timestamp
from airflow_provider_agentruns.emulator.paging import Page, page_of
from airflow_provider_agentruns.emulator.runs import Run, State
from airflow_provider_agentruns.emulator.script_runner import ScriptRunner
from airflow_provider_agentruns.emulator.scripts import Case, Context, Json, Script
from airflow_provider_agentruns.emulator.threads import Thread
from airflow_provider_agentruns.emulator.validation import check_answer, check_audit, is_uuid, read_context

log = logging.getLogger(__name__)

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class AcceptedAnswer:
    """An answer that the service accepted."""

    run_id: str
    interrupt_id: str
    input: Any
    at: datetime


class Service:
    """
    The service with its agents, threads, and runs.

    The same seed and the same order of creations give the same IDs and the same content.

    :param seed: Another seed gives other IDs and other content.
    :param speed: Seconds of an agent's work done per second.
    :param agents: Agent types and their scripts. To add to the built-in ones: ``{**BUILTIN, "mine": script}``.
    :param clock: Returns the current time in UTC.
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
        #: Every answer that the service accepted, oldest first.
        self.answers: list[AcceptedAnswer] = []
        #: Every rating that was given, oldest first.
        self.ratings: list[Json] = []
        #: All runs by ID, oldest first. Reading a run brings it up to date.
        self.runs: Mapping[str, Run] = _Runs(self)
        self._ids = Ids(seed)
        self._account_id = self._ids.uuid("account")
        self._requester: Json = {"id": self._account_id, "name": "Offline account", "email": None}
        self._scripts = dict(agents)
        self._since = clock()
        self._threads: list[Thread] = []
        self._runs: dict[str, Run] = {}
        self._runs_by_age: list[Run] = []
        self._runners: dict[str, ScriptRunner] = {}
        self._finished_runs = 0
        self._warned = False

    def list_agents(self) -> list[Json]:
        """Return all agents as the service shows them."""
        return [
            {
                "object": "agent",
                "id": self._ids.uuid("agent", agent),
                "type": agent,
                "name": agent.replace("_", " ").capitalize(),
                "description": (inspect.getdoc(script) or "").partition("\n")[0],
                "created_at": timestamp(self._since),
                "updated_at": timestamp(self._since),
            }
            for agent, script in self._scripts.items()
        ]

    def get_agent(self, agent_id: str) -> Json:
        """
        Return an agent as the service shows it.

        :raises NotFoundError: If no agent has that ID.
        """
        for agent in self.list_agents():
            if agent["id"] == agent_id.lower():
                return agent
        raise NotFoundError(f"There is no agent {agent_id}")

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

        :raises NotFoundError: If the agent or the thread does not exist.
        :raises RequestError: If there is neither a thread nor a context, or the business is in audit.
        """
        with self.lock:
            script = self._script(agent)
            thread = self._find_thread(thread_id) if thread_id is not None else None
            context = self._context(business_id, context_type, context_id) or (thread.context if thread else None)
            if context is None:
                raise RequestError(400, "A run needs a business_id, a context_type with a context_id, or a thread_id")
            check_audit(context)
            now = self.clock()
            thread = thread or self._open_thread(agent, context, now)
            run_id = self._ids.uuid("run", len(self._runs_by_age) - self._finished_runs)
            run = self._new_run(run_id, thread, now, agent=agent, context=context)
            body = script(Case(run.id, agent, context, self._ids.rng(run.id)))
            self._runners[run.id] = ScriptRunner(run, body, self._ids, self.speed)
            self._runs[run.id] = run
            self._runs_by_age.append(run)
            thread.runs.append(run)
            return self._updated(run)

    def get_run(self, run_id: str) -> Run:
        """
        Return a run as it is now.

        :raises NotFoundError: If no run has that ID.
        """
        with self.lock:
            run = self._runs.get(run_id.lower())
            if run is None:
                raise NotFoundError(f"There is no run {run_id}")
            return self._updated(run)

    def list_runs(self, page: int = 1, per_page: int = 20, *, created_by: datetime | None = None) -> Page[Run]:
        """
        Return a page of the runs, newest first.

        :param created_by: Leave out runs that were created later.
        """
        with self.lock:
            runs = self._runs_by_age
            if created_by is not None:
                runs = [run for run in runs if run.created_at <= created_by]
            found = page_of(runs, page, per_page)
            for run in found.items:
                self._updated(run)
            return found

    def runner(self, run_id: str) -> ScriptRunner | None:
        """Return what runs the script of a run, or None if the run has ended."""
        return self._runners.get(run_id)

    def answer(self, run_id: str, interrupt_id: str, answer: Any) -> Run:
        """
        Answer one pending interrupt.

        :raises NotFoundError: If no run has that ID.
        :raises RequestError: If the interrupt is not pending, or the answer does not fit the question.
        """
        with self.lock:
            run = self.get_run(run_id)
            question = next((question for question in run.pending if question.id == interrupt_id), None)
            if question is None:
                raise RequestError(409, f"Run {run.id} is {run.status}, and interrupt {interrupt_id} is not pending")
            check_answer(question.value, answer)
            now = self.clock()
            self._runners[run.id].answer(question, answer, now)
            self.answers.append(AcceptedAnswer(run.id, interrupt_id, answer, now))
            return self._updated(run)

    def rate(self, run_id: str, artifact_id: str, rating: str, comment: str | None = None) -> Json:
        """
        Rate an artifact, and return the rating as the service shows it.

        :param rating: ``POSITIVE`` or ``NEGATIVE``.
        :raises NotFoundError: If no run has that ID.
        :raises RequestError: If the run has no such artifact.
        """
        with self.lock:
            run, artifact_id = self.get_run(run_id), artifact_id.lower()
            if artifact_id not in run.known_artifacts:
                raise RequestError(422, f"Run {run.id} has no artifact {artifact_id}", "artifact_id")
            rated = (run.id, artifact_id)
            recorded: Json = {
                "object": "feedback",
                "id": self._ids.uuid("feedback", len(self.ratings)),
                "run_id": run.id,
                "rating": rating,
                "artifact_id": artifact_id,
                "comment": comment,
                "reviewer": {"type": "Account", "id": self._account_id},
                "superseded_prior": any((it["run_id"], it["artifact_id"]) == rated for it in self.ratings),
                "created_at": timestamp(self.clock()),
            }
            self.ratings.append(recorded)
            return recorded

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

        :raises NotFoundError: If the agent does not exist.
        :raises RequestError: If half a context is given.
        """
        with self.lock:
            self._script(agent)
            context = self._context(business_id, context_type, context_id) or Context()
            return self._open_thread(agent, context, self.clock())

    def get_thread(self, thread_id: str) -> Thread:
        """
        Return a thread as it is now.

        :raises NotFoundError: If no thread has that ID.
        """
        with self.lock:
            thread = self._find_thread(thread_id)
            if thread.newest:
                self._updated(thread.newest)
            return thread

    def list_threads(self, page: int = 1, per_page: int = 20, *, business_id: str | None = None) -> Page[Thread]:
        """Return a page of the threads, of all or of one business, newest first."""
        with self.lock:
            about = Context("business", business_id)
            found = [thread for thread in self._threads if business_id is None or thread.context == about]
            listed = page_of(found, page, per_page)
            for thread in listed.items:
                if thread.newest:
                    self._updated(thread.newest)
            return listed

    def add_finished_runs(
        self, count: int, *, agent: str = "instant", status: Literal["completed", "error"] = "completed"
    ) -> list[str]:
        """
        Add runs that ended in the past, before all existing runs, in a thread of their own.

        :return: Their IDs, oldest first.
        """
        with self.lock:
            newer = self._runs_by_age[0].created_at if self._runs_by_age else self.clock()
            thread = self._open_thread(agent, Context(), newer - count * _SECOND)
            self._threads.insert(0, self._threads.pop())
            for number in range(count):
                run_id = self._ids.uuid("finished run", self._finished_runs + number)
                run = self._new_run(run_id, thread, thread.created_at + number * _SECOND)
                run.enter(status, run.touch(run.created_at + _SECOND / 2))
                if status == "completed":
                    # The artifact may have the ID of the run: they are different kinds of objects.
                    report = {"title": "Report", "type": "report", "confidence": "high", "sources": []}
                    run.artifacts = [{"id": run.id, **report}]
                thread.runs.append(run)
            self._finished_runs += count
            self._runs_by_age[:0] = thread.runs
            self._runs.update((run.id, run) for run in thread.runs)
            return [run.id for run in thread.runs]

    def _script(self, agent: str) -> Script:
        if agent not in self._scripts:
            known = ", ".join(sorted(self._scripts))
            raise NotFoundError(f"There is no agent of type {agent}; the types are {known}", "type")
        return self._scripts[agent]

    def _context(self, business_id: str | None, context_type: str | None, context_id: str | None) -> Context | None:
        context = read_context(business_id, context_type, context_id)
        if context and not self._warned and not is_uuid(context.id):
            self._warned = True
            log.warning("The ID %.100r of a %s is not a UUID: the real service rejects it", context.id, context.type)
        return context

    def _find_thread(self, thread_id: str) -> Thread:
        for thread in self._threads:
            if thread.id == thread_id.lower():
                return thread
        raise NotFoundError(f"There is no thread {thread_id}", "thread_id")

    def _open_thread(self, agent: str, context: Context, now: datetime) -> Thread:
        thread = Thread(self._ids.uuid("thread", len(self._threads)), agent, context, self._requester, now)
        self._threads.append(thread)
        return thread

    def _new_run(
        self, run_id: str, thread: Thread, now: datetime, *, agent: str | None = None, context: Context | None = None
    ) -> Run:
        return Run(
            id=run_id,
            agent=agent or thread.agent,
            thread_id=thread.id,
            context=context or thread.context,
            requester=thread.requester,
            lock=self.lock,
            states=[State(now, "running")],
            updated_at=now,
        )

    def _updated(self, run: Run) -> Run:
        if runner := self._runners.get(run.id):
            runner.run_until(self.clock())
            if run.finished:
                del self._runners[run.id]
        return run


class _Runs(Mapping[str, Run]):
    def __init__(self, service: Service) -> None:
        self._service = service

    def __getitem__(self, run_id: str) -> Run:
        try:
            return self._service.get_run(run_id)
        except NotFoundError:
            raise KeyError(run_id) from None

    def __iter__(self) -> Iterator[str]:
        with self._service.lock:
            return iter([run.id for run in self._service._runs_by_age])

    def __len__(self) -> int:
        return len(self._service._runs_by_age)
