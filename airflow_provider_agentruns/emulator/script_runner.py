# SPDX-License-Identifier: Apache-2.0
"""
Runs the script of a run's agent.

There is no background task. The service brings a run up to date before it reads the run, and each step has the times
that it would have had, however late the service reads it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from airflow_provider_agentruns.emulator.ids import Ids
from airflow_provider_agentruns.emulator.runs import Question, Run, Step
from airflow_provider_agentruns.emulator.scripts import Ask, Delegate, Fails, Json, ScriptBody, Work

log = logging.getLogger(__name__)

#: Ends a script that never ends although its work takes no time.
_MAX_STEPS = 10_000

#: The script must wait for time to pass or for answers.
_WAIT = object()


@dataclass(slots=True)
class _Frame:
    """A script that is running, and its step. The outermost script has no step."""

    script: ScriptBody
    step: Step | None


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
        self._frames = [_Frame(script, None)]
        self._working: Step | None = None
        self._asked: Sequence[Question] = ()
        self._reported: Fails | None = None
        #: When the script continues. None while it waits for answers, and after its end.
        self.due_at: datetime | None = run.created_at

    def run_until(self, now: datetime) -> None:
        """Do all the work that is due by now."""
        while self.due_at is not None and self.due_at <= now:
            moment, self.due_at = self.due_at, None
            if self._working:
                self._working.end(self._run.touch(moment))
                self._working = None
            self._resume(moment, None)

    def answer(self, question: Question, value: Any, now: datetime) -> None:
        """Record the answer to a pending question. After the last answer the script continues."""
        moment = self._run.touch(now)
        question.answer, question.answered = value, True
        question.step.end(moment)
        if all(asked.answered for asked in self._asked):
            self._run.enter("running", moment)
            self._resume(now, [asked.answer for asked in self._asked])
        else:
            self._run.enter("interrupted", moment)

    def _resume(self, moment: datetime, reply: Any) -> None:
        """
        Send a reply into the innermost script, and execute its commands until one takes time or needs an answer.

        :param reply: The result of the last command. An exception is raised inside the script.
        """
        while self._frames:
            frame = self._frames[-1]
            try:
                command = frame.script.throw(reply) if isinstance(reply, Exception) else frame.script.send(reply)
            except StopIteration as end:
                reply = self._return(frame, end.value, moment)
            except Fails as failure:
                reply = self._fail(frame, failure, moment)
            except Exception as error:
                log.exception("The script of the agent %s raised an error", self._run.agent)
                reply = self._fail(frame, Fails("The script raised an error", repr(error)), moment)
            else:
                reply = self._execute(command, moment)
                if reply is _WAIT:
                    return

    def _execute(self, command: object, moment: datetime) -> object:
        """Execute a command; return its result, an error to raise in the script, or ``_WAIT``."""
        try:
            if len(self._run.steps) >= _MAX_STEPS:
                raise ValueError(f"a run has at most {_MAX_STEPS} steps")
            match command:
                case Work():
                    self._work(command, moment)
                    return _WAIT
                case Ask():
                    self._ask(_copied(list(command.values)), moment)
                    return _WAIT
                case Delegate():
                    step = self._step("activity", command.name, command.label, moment, command.agent)
                    self._frames.append(_Frame(command.script, step))
                    return None
            raise TypeError(f"a script yields Work, Delegate or Ask, not {type(command).__name__}")
        except (TypeError, ValueError) as error:
            return error

    def _work(self, work: Work, moment: datetime) -> None:
        artifacts = _copied(list(work.artifacts))
        due_at = _later(moment, work.seconds / self._speed)
        self._working = self._step("activity", work.name, work.label, moment, work.agent)
        self._working.artifacts = artifacts
        self.due_at = due_at

    def _ask(self, values: list[Json], moment: datetime) -> None:
        if not values or not all(isinstance(value, dict) for value in values):
            raise TypeError("Ask takes one interrupt value or more, each a JSON object")
        for value in values:
            label = str(value.get("label") or "Asks a person")
            step = self._step("interrupt", "ask", label, moment, value.get("agent"))
            interrupt_id = self._ids.interrupt(self._run.id, len(self._run.questions))
            self._run.questions.append(Question(interrupt_id, value, step))
        self._asked = self._run.questions[-len(values) :]
        self._run.enter("interrupted", self._run.updated_at)

    def _return(self, frame: _Frame, result: Any, moment: datetime) -> object:
        """End a script that returned. Its result is the reply to the enclosing script."""
        if frame.step:
            self._frames.pop()
            frame.step.end(self._run.touch(moment))
            return result
        try:
            artifacts = self._with_ids(_copied([] if result is None else result))
        except (TypeError, ValueError) as error:
            return self._fail(frame, Fails("The script raised an error", f"It returned no artifacts: {error}"), moment)
        step = self._step("output", "output", "Returns the output", moment)
        step.artifacts = artifacts
        step.end(step.started_at)
        self._run.artifacts = artifacts
        self._end("completed", step.started_at)
        return None

    def _fail(self, frame: _Frame, failure: Fails, moment: datetime) -> object:
        """End a script that failed. The reply to the enclosing script is the failure, which that script may catch."""
        if failure is not self._reported:
            # Only the innermost script has an error step. The steps around it just end with an error.
            step = self._step("error", failure.name, failure.label, moment)
            step.result = {"message": failure.message}
            step.end(step.started_at, "error")
            self._reported = failure
        moment = self._run.touch(moment)
        if frame.step:
            self._frames.pop()
            frame.step.end(moment, "error")
            return failure
        self._end("error", moment)
        return None

    def _end(self, status: Literal["completed", "error"], moment: datetime) -> None:
        self._frames.clear()
        self._run.enter(status, moment)

    def _with_ids(self, artifacts: Any) -> list[Json]:
        if not isinstance(artifacts, list) or not all(isinstance(artifact, dict) for artifact in artifacts):
            raise TypeError("a script returns a list of JSON objects")
        return [
            {"id": self._ids.uuid(self._run.id, "artifact", number), **artifact}
            for number, artifact in enumerate(artifacts)
        ]

    def _step(
        self,
        kind: Literal["activity", "output", "interrupt", "error"],
        name: str,
        label: str,
        moment: datetime,
        agent: str | None = None,
    ) -> Step:
        """Begin a step inside the step of the innermost script."""
        parent = self._frames[-1].step
        step = Step(
            id=self._ids.uuid(self._run.id, "step", len(self._run.steps)),
            run_id=self._run.id,
            agent=agent or (parent.agent if parent else self._run.agent),
            type=kind,
            name=name,
            label=label,
            parent=parent,
            started_at=self._run.touch(moment),
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
