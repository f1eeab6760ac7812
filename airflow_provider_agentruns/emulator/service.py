# SPDX-License-Identifier: Apache-2.0
"""The state of the offline service, without HTTP. It is thread-safe."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from threading import RLock
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from starlette.exceptions import HTTPException

from airflow_provider_agentruns.emulator.agent_scripts import BUILTIN
from airflow_provider_agentruns.emulator.runs import ACCOUNT, Run, Thread, timestamp, uuid_of
from airflow_provider_agentruns.emulator.script_runner import ScriptRunner
from airflow_provider_agentruns.emulator.script_steps import Case, Context, Json, Script


class RequestError(HTTPException):
    """The service refuses a request, because of the field ``parameter`` if that is set."""

    def __init__(self, status: int, message: str, parameter: str | None = None) -> None:
        super().__init__(status, message)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class AcceptedAnswer:
    run_id: str
    interrupt_id: str
    input: Any


class Service:
    """
    The agents, threads, and runs of the service. ``Emulator`` describes ``seed``, ``speed``, and ``agents``.

    :raises ValueError: If ``speed`` is not above 0.
    """

    def __init__(self, seed: int = 0, speed: float = 1.0, *, agents: Mapping[str, Script] | None = None) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self.speed = speed
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.lock = RLock()
        #: All accepted answers, oldest first.
        self.answers: list[AcceptedAnswer] = []
        self.ratings: list[Json] = []
        #: The runners of the scripts, by run ID.
        self.runners: dict[str, ScriptRunner] = {}
        self._seed = seed
        self._scripts = {**BUILTIN, **(agents or {})}
        self._since = self.clock()
        self._threads: dict[str, Thread] = {}
        self._runs: dict[str, Run] = {}

    @property
    def runs(self) -> Mapping[str, Run]:
        """All runs by ID, oldest first."""
        with self.lock:
            return {run.id: self._updated(run) for run in self._runs.values()}

    @property
    def threads(self) -> Mapping[str, Thread]:
        """All threads by ID, oldest first."""
        with self.lock:
            _ = self.runs
            return dict(self._threads)

    def agents(self) -> list[Json]:
        return [
            {
                "object": "agent",
                "id": uuid_of(self._seed, "agent", agent),
                "type": agent,
                "name": agent.replace("_", " ").capitalize(),
                "description": (inspect.getdoc(script) or "").partition("\n")[0],
                "created_at": timestamp(self._since),
                "updated_at": timestamp(self._since),
            }
            for agent, script in self._scripts.items()
        ]

    def create_run(self, agent: str, *, thread_id: str | None = None, **context: str) -> Run:
        """
        Start a run, in a new thread unless one is given.

        :param context: ``business_id``, or ``context_type`` and ``context_id``.
        :raises RequestError: If the service refuses the run.
        """
        with self.lock:
            script = self._script(agent)
            thread = self.get_thread(thread_id) if thread_id is not None else None
            about = _context(**context) or (thread.context if thread else None)
            if about is None:
                raise RequestError(400, "A run needs a business_id, a context_type with a context_id, or a thread_id")
            thread = thread or self._open_thread(agent, about)
            now = self.clock()
            run = Run(
                id=uuid_of(self._seed, "run", len(self._runs)),
                agent=agent,
                thread_id=thread.id,
                context=about,
                lock=self.lock,
                created_at=now,
                updated_at=now,
            )
            body = script(Case(run.id, agent, about, Random(run.id)))  # noqa: S311 -- nothing here is secret
            self.runners[run.id] = ScriptRunner(run, body, self.speed)
            self._runs[run.id] = thread.newest = run
            return self._updated(run)

    def get_run(self, run_id: str) -> Run:
        """Return a run. Raise :class:`RequestError` if no run has that ID."""
        with self.lock:
            if run := self._runs.get(run_id.lower()):
                return self._updated(run)
            raise RequestError(404, f"There is no run {run_id}")

    def answer(self, run_id: str, interrupt_id: str, answer: Any) -> Run:
        """Answer one pending interrupt. Raise :class:`RequestError` if the service refuses the answer."""
        with self.lock:
            run = self.get_run(run_id)
            values = {interrupt["id"]: interrupt["value"] for interrupt in run.interrupts}
            if interrupt_id not in values:
                raise RequestError(409, f"Run {run.id} is {run.status}, and interrupt {interrupt_id} is not pending")
            schema = values[interrupt_id].get("input_schema")
            if isinstance(schema, dict) and (misfit := best_match(Draft202012Validator(schema).iter_errors(answer))):
                raise RequestError(422, f"The input does not fit at {misfit.json_path}: {misfit.message}", "input")
            self.runners[run.id].answer(interrupt_id, answer, self.clock())
            self.answers.append(AcceptedAnswer(run.id, interrupt_id, answer))
            return self._updated(run)

    def rate(self, run_id: str, artifact_id: str, rating: str, comment: str | None = None) -> Json:
        with self.lock:
            run = self.get_run(run_id)
            shown = json.dumps([run.artifacts, *run.questions])
            if artifact_id not in shown.lower():
                raise RequestError(422, f"Run {run.id} has no artifact {artifact_id}", "artifact_id")
            rated = (run.id, artifact_id)
            recorded: Json = {
                "object": "feedback",
                "id": uuid_of(self._seed, "feedback", len(self.ratings)),
                "run_id": run.id,
                "rating": rating,
                "artifact_id": artifact_id,
                "comment": comment,
                "reviewer": {"type": "Account", "id": ACCOUNT["id"]},
                "superseded_prior": any((it["run_id"], it["artifact_id"]) == rated for it in self.ratings),
                "created_at": timestamp(self.clock()),
            }
            self.ratings.append(recorded)
            return recorded

    def create_thread(self, agent: str, **context: str) -> Thread:
        """Open a thread, with the context of ``create_run`` or without one."""
        with self.lock:
            self._script(agent)
            return self._open_thread(agent, _context(**context) or Context())

    def get_thread(self, thread_id: str) -> Thread:
        if thread := self.threads.get(thread_id.lower()):
            return thread
        raise RequestError(404, f"There is no thread {thread_id}", "thread_id")

    def _script(self, agent: str) -> Script:
        if agent not in self._scripts:
            known = ", ".join(sorted(self._scripts))
            raise RequestError(404, f"There is no agent of type {agent}; the types are {known}", "type")
        return self._scripts[agent]

    def _open_thread(self, agent: str, context: Context) -> Thread:
        thread = Thread(uuid_of(self._seed, "thread", len(self._threads)), agent, context, self.clock())
        self._threads[thread.id] = thread
        return thread

    def _updated(self, run: Run) -> Run:
        if not run.finished:
            self.runners[run.id].run_until(self.clock())
        return run


def _context(
    business_id: str | None = None, context_type: str | None = None, context_id: str | None = None
) -> Context | None:
    if (context_type is None) != (context_id is None):
        raise RequestError(400, "context_type and context_id go together")
    found = {Context("business", business_id), Context(context_type, context_id)} - {Context("business"), Context()}
    if len(found) > 1:
        raise RequestError(400, "business_id and context_id name two different resources", "context_id")
    return found.pop() if found else None
