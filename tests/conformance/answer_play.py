# SPDX-License-Identifier: Apache-2.0
"""Plays a history of tasks that answer the questions of a run, and checks the promises after each try."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Self
from unittest.mock import patch

import pendulum

from airflow_provider_agentruns.exceptions import AgentRunConflictError, AgentRunInterruptGoneError, AgentRunsError
from airflow_provider_agentruns.idempotency.resume_run import Answered, answer_once
from airflow_provider_agentruns.text import digest
from tests.conformance.answer_histories import SHOWS_IN, History, Shown, Try, World
from tests.conformance.worker import Worker
from tests.idempotency.service import Clock, Service, show
from tests.support.scripted_server import Received, Reply, answer
from tests.support.state_store import StateStore

Name = Literal["a", "b"]

QUESTIONS: dict[Name, tuple[str, dict[str, str]]] = {
    "a": ("i-1", {"label": "First?"}),
    "b": ("i-2", {"label": "Second?"}),
}
NEXT = {"label": "Delete it all?"}
RIVALS_ANSWER = "a rival's"


@dataclass
class Taken:
    """An answer that the service has accepted, and the question."""

    interrupt_id: str
    question: Any
    answer: str


class AnsweringService(Service):
    """The service of a history. The effects of all requests show when they have ``settled``."""

    def __init__(self, clock: Clock, world: World) -> None:
        super().__init__(clock)
        self.world = world
        self.taken: list[Taken] = []
        self.settled = clock.moment
        #: How the run is shown in the next reads, and whether the question is known by then.
        self.shown: list[Shown] = []
        self.knows_question: Callable[[], bool] = lambda: False
        self._asked: dict[str, Any] = {}
        interrupts = [{"id": key, "value": value} for key, value in QUESTIONS.values()]
        self._run = self.add_run(status="interrupted", interrupts=interrupts)
        self._past = [(clock.moment, copy.deepcopy(self._run))]
        if world.rival_at is not None:
            self.at(world.rival_at, self.be_overtaken)

    def __call__(self, request: Received) -> Reply:
        """Answer a request, and set when its effect shows at the latest."""
        reply = super().__call__(request)
        if request.method == "POST":
            self.settled = self.clock.moment.add(seconds=SHOWS_IN + 0.1)
        return reply

    def be_overtaken(self) -> None:
        """Let someone else answer the first question if it is pending."""
        if any(interrupt["value"] == QUESTIONS["a"][1] for interrupt in self._run["interrupts"]):
            self._resume(self._run, {"interrupt_id": "i-1", "input": RIVALS_ANSWER})

    def _get(self, request: Received) -> Reply:
        shown_until = self.clock.moment.subtract(seconds=self.world.shows_after)
        past = [state for moment, state in self._past if moment <= shown_until] or [self._past[0][1]]
        shown = {name: value for name, value in past[-1].items() if name not in ("shown", "answers")}
        way = self.shown.pop(0) if self.shown else "as it is"
        if way == "no question":
            shown["interrupts"] = None
        elif way == "before it asked":
            earlier = pendulum.parse(str(shown["updated_at"])).subtract(hours=1).isoformat()
            shown.update(status="running", interrupts=[], updated_at=earlier)
        elif way == "a field more" and self.knows_question():
            shown["interrupts"] = [
                {**asked, "value": {**asked["value"], "x_later": True}} for asked in shown["interrupts"]
            ]
        return answer(shown)

    def _resume(self, run: dict[str, Any], body: dict[str, Any]) -> Reply:
        key = body["interrupt_id"]
        pending = [interrupt for interrupt in run["interrupts"] if interrupt["id"] == key]
        if pending or not self.world.strict:
            self._asked[key] = pending[0]["value"] if pending else self._asked[key]
            self.taken.append(Taken(key, self._asked[key], body["input"]))
        if not pending and not self.world.strict:
            return answer({name: value for name, value in run.items() if name not in ("shown", "answers")})
        reply = super()._resume(run, body)
        self._past.append((self.clock.moment, copy.deepcopy(run)))
        if pending and self._asked[key] == QUESTIONS["a"][1] and self.world.asks_next != "nothing":
            self.at(self.world.asks_after, self._ask_next)
            self.catch_up()
        return reply

    def _ask_next(self) -> None:
        key = "i-1" if self.world.asks_next == "same id" else "i-3"
        self._run["interrupts"].append({"id": key, "value": NEXT})
        self._run["status"] = "interrupted"
        self._past.append((self.clock.moment, copy.deepcopy(self._run)))


@dataclass
class _Task:
    name: Name
    store: StateStore | None
    given: set[str] = field(default_factory=set)

    def mark(self, answer: str) -> str:
        return f"{self.name}: {answer}"


class AnswerPlay:
    """Plays a history. ``outcomes`` are the types of all results and errors; NoneType if a worker died."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.world = history.world
        self.clock = Clock()
        self.service = AnsweringService(self.clock, history.world)
        self.outcomes: set[str] = set()
        self.tasks = {name: _Task(name, StateStore() if self.world.has_store else None) for name in QUESTIONS}
        # Without a store, the package cannot wait for an answer that has not arrived.
        self._waits = not self.world.has_store and (
            not self.world.strict
            or self.world.asks_next == "same id"
            or self.world.shows_after > 0
            or history.answers_change
        )

    def play(self) -> Self:
        """Play the history, and then one try of each task without faults."""
        with patch.object(pendulum, "now", self.clock.now):
            for one in self.history.tries:
                self.make(one)
            self.clock.sleep(600)
            for name, task in self.tasks.items():
                last = [one.answer for one in self.history.tries if one.task == name]
                self._check_end(task, self.make(Try(name, last[-1] if last else "yes")))
        return self

    def make(self, one: Try) -> Answered | AgentRunsError | None:
        """Make a try, and return its result, or None if the worker dies."""
        self.clock.sleep(one.pause)
        if self._waits:
            self.clock.moment = max(self.clock.moment, self.service.settled)
        self.service.catch_up()
        task, (interrupt_id, question) = self.tasks[one.task], QUESTIONS[one.task]
        task.given.add(one.answer)
        self.service.posts_faults, self.service.gets_faults = list(one.posts), list(one.gets)
        before = len(self.service.posts)
        self.service.shown = list(one.shown)
        self.service.knows_question = lambda: bool(
            self.world.knows_question
            or len(self.service.posts) > before
            or (task.store and (task.store.get("agent_run_answer") or {}).get("interrupt_id") == interrupt_id)
        )
        rivals = [self.service.be_overtaken] if one.overtaken else []
        self.service.carried_out = lambda request: rivals.pop()() if rivals else None
        known = digest(question) if self.world.knows_question else None
        worker = Worker(self.service, task.store, dies=one.dies)
        outcome = worker.do(answer_once, "r-1", interrupt_id, task.mark(one.answer), question=known)
        show(f"{self.clock.moment:HH:mm:ss.S} try of {one.task}: {outcome!r}; taken: {self.service.taken}")
        for each in self.tasks.values():
            self._check(each)
        self._check_outcome(task, one, outcome)
        self.outcomes.add(type(outcome).__name__)
        return outcome

    def taken_of(self, task: _Task) -> list[Taken]:
        return [taken for taken in self.service.taken if taken.answer.startswith(f"{task.name}:")]

    def _check(self, task: _Task) -> None:
        """A task gives one answer, and only to its own question."""
        taken = self.taken_of(task)
        assert len(taken) <= 1, f"answered twice: {taken}"
        interrupt_id, question = QUESTIONS[task.name]
        for one in taken:
            assert one.interrupt_id == interrupt_id, f"another interrupt is answered: {one}"
            if self.world.knows_question:
                assert one.question == question, f"another question is answered: {one}"
            elif task.store:
                assert task.store.get("agent_run_answer")["question"] == digest(one.question)

    def _check_outcome(self, task: _Task, one: Try, outcome: Answered | AgentRunsError | None) -> None:
        if not isinstance(outcome, Answered):
            return
        given = [taken.answer for taken in self.taken_of(task)]
        if outcome.delivery == "confirmed" or not self.history.has_rival:
            assert given == [task.mark(one.answer)], f"{given} was taken"

    def _check_end(self, task: _Task, outcome: Answered | AgentRunsError | None) -> None:
        """Without faults, a try ends with the answer, or with an error that says why there is none."""
        if isinstance(outcome, Answered):
            return
        assert isinstance(outcome, AgentRunConflictError), outcome
        assert isinstance(outcome, AgentRunInterruptGoneError), "sent, although it was not pending"
        asks_again = task.name == "a" and self.world.asks_next == "same id"
        changed = len(task.given) > 1
        assert asks_again or changed or self.history.has_rival or not self.world.has_store, outcome
