# SPDX-License-Identifier: Apache-2.0
"""
Runs the script of a run's agent.

There is no background task. The service brings a run up to date before it reads the run, and each step has the times
that it would have had, however late the service reads it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from airflow_provider_agentruns.emulator.ids import Ids
from airflow_provider_agentruns.emulator.runs import Question, Run, Step
from airflow_provider_agentruns.emulator.scripts import Ask, Delegate, Fails, Json, ScriptBody, Work

log = logging.getLogger(__name__)

#: Ends a script that never ends although its work takes no time.
_MAX_STEPS = 10_000

_FAILED = "The script raised an error"


class ScriptRunner:
    """
    Runs the script of one run.

    :param script: The agent's script, a generator.
    :param speed: Seconds of work done per second.
    """

    def __init__(self, run: Run, script: ScriptBody, ids: Ids, speed: float) -> None:
        self._run = run
        self._ids = ids
        self._speed = speed
        self._now = run.created_at
        self._progress = self._run_to_the_end(script)
        self._asked: list[Question] = []
        #: When the script continues. None while it waits for answers, and after its end.
        self.due_at: datetime | None = run.created_at

    def run_until(self, now: datetime) -> None:
        """Do all the work that is due by now."""
        while self.due_at is not None and self.due_at <= now:
            self._now, self.due_at = self.due_at, None
            next(self._progress, None)

    def answer(self, question: Question, value: Any, now: datetime) -> None:
        """Record the answer to a pending question. After the last answer the script continues."""
        self._now = now
        question.answer, question.answered = value, True
        question.step.end(self._run.touch(now))
        if not all(asked.answered for asked in self._asked):
            self._run.enter("interrupted", self._run.updated_at)
            return
        self._run.enter("running", self._run.updated_at)
        next(self._progress, None)

    def _run_to_the_end(self, script: ScriptBody) -> Generator[None, None, None]:
        """Run the agent's script, and end the run. Yield whenever the script must wait for time or for answers."""
        try:
            artifacts = yield from self._run_script(script, None)
            try:
                artifacts = self._with_ids(_copied([] if artifacts is None else artifacts))
            except (TypeError, ValueError) as error:
                raise self._reported(Fails(_FAILED, f"It returned no artifacts: {error}"), None) from None
        except Fails:
            self._run.enter("error", self._run.updated_at)
            return
        step = self._step(None, "output", "output", "Returns the output")
        step.artifacts = self._run.artifacts = artifacts
        step.end(step.started_at)
        self._run.enter("completed", step.started_at)

    def _run_script(self, script: ScriptBody, parent: Step | None) -> Generator[None, None, Any]:
        """Run a script inside a step, and return its result. ``Fails`` passes through after it has been reported."""
        reply: Any = None
        while True:
            try:
                command = script.throw(reply) if isinstance(reply, Exception) else script.send(reply)
            except StopIteration as end:
                return end.value
            except Fails as failure:
                raise self._reported(failure, parent) from None
            except Exception as error:
                log.exception("The script of the agent %s raised an error", self._run.agent)
                raise self._reported(Fails(_FAILED, repr(error)), parent) from None
            try:
                reply = yield from self._execute(command, parent)
            except (TypeError, ValueError, Fails) as error:
                reply = error

    def _execute(self, command: object, parent: Step | None) -> Generator[None, None, Any]:
        """Execute a command, and return its result."""
        if len(self._run.steps) >= _MAX_STEPS:
            raise ValueError(f"a run has at most {_MAX_STEPS} steps")
        match command:
            case Work():
                artifacts, due_at = _copied(list(command.artifacts)), _later(self._now, command.seconds / self._speed)
                step = self._step(parent, "activity", command.name, command.label, command.agent)
                step.artifacts, self.due_at = artifacts, due_at
                yield
                step.end(self._run.touch(self._now))
                return None
            case Ask():
                self._ask(_copied(list(command.values)), parent)
                yield
                return [asked.answer for asked in self._asked]
            case Delegate():
                step = self._step(parent, "activity", command.name, command.label, command.agent)
                try:
                    result = yield from self._run_script(command.script, step)
                except Fails:
                    step.end(self._run.touch(self._now), "error")
                    raise
                step.end(self._run.touch(self._now))
                return result
        raise TypeError(f"a script yields Work, Delegate or Ask, not {type(command).__name__}")

    def _ask(self, values: list[Json], parent: Step | None) -> None:
        if not values or not all(isinstance(value, dict) for value in values):
            raise TypeError("Ask takes one interrupt value or more, each a JSON object")
        self._asked = []
        for value in values:
            step = self._step(
                parent, "interrupt", "ask", str(value.get("label") or "Asks a person"), value.get("agent")
            )
            interrupt_id = self._ids.interrupt(self._run.id, len(self._run.questions))
            self._asked.append(Question(interrupt_id, value, step))
            self._run.questions.append(self._asked[-1])
        self._run.enter("interrupted", self._run.updated_at)

    def _reported(self, failure: Fails, parent: Step | None) -> Fails:
        """Add an error step for a failure, unless an inner script has one already."""
        if not failure.reported:
            step = self._step(parent, "error", failure.name, failure.label)
            step.result = {"message": failure.message}
            step.end(step.started_at, "error")
            failure.reported = True
        return failure

    def _with_ids(self, artifacts: Any) -> list[Json]:
        if not isinstance(artifacts, list) or not all(isinstance(artifact, dict) for artifact in artifacts):
            raise TypeError("a script returns a list of JSON objects")
        return [
            {"id": self._ids.uuid(self._run.id, "artifact", number), **artifact}
            for number, artifact in enumerate(artifacts)
        ]

    def _step(
        self,
        parent: Step | None,
        kind: Literal["activity", "output", "interrupt", "error"],
        name: str,
        label: str,
        agent: str | None = None,
    ) -> Step:
        step = Step(
            id=self._ids.uuid(self._run.id, "step", len(self._run.steps)),
            run_id=self._run.id,
            agent=agent or (parent.agent if parent else self._run.agent),
            type=kind,
            name=name,
            label=label,
            parent=parent,
            started_at=self._run.touch(self._now),
        )
        self._run.steps.append(step)
        return step


def _later(moment: datetime, seconds: float) -> datetime:
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        # Infinite work never ends.
        return datetime.max.replace(tzinfo=UTC)


def _copied(value: Any) -> Any:
    """Copy a JSON value, so that a script can reuse its own."""
    return json.loads(json.dumps(value, allow_nan=False))
