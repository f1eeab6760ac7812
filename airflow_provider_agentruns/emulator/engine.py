# SPDX-License-Identifier: Apache-2.0
"""
What drives a run's script.

There is no background task. Whoever reads a run first drives it up to now: each step then has the times that
it would have had, however late someone looks.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from airflow_provider_agentruns.emulator.ids import Ids
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.scripts import Ask, Delegate, Fails, Json, ScriptBody, Work
from airflow_provider_agentruns.emulator.steps import Question, Step

log = logging.getLogger(__name__)

#: A script that takes no time may go on for ever, and all others would wait for it.
_MOST_STEPS = 10_000

#: What is no reply: the script has to wait.
_WAIT = object()


@dataclass(slots=True)
class _Frame:
    """A script that is under way, and the step that it runs in; the outermost has none."""

    script: ScriptBody
    step: Step | None


class Engine:
    """
    Drives one run.

    :param script: The agent's script, already called.
    :param speed: How many seconds of work are done in one second.
    """

    def __init__(self, run: Run, script: ScriptBody, ids: Ids, speed: float) -> None:
        self._run = run
        self._ids = ids
        self._speed = speed
        self._frames = [_Frame(script, None)]
        self._working: Step | None = None
        self._asked: Sequence[Question] = ()
        self._noted: Fails | None = None
        #: When the script goes on; None while it waits for answers and once it has ended.
        self.due: datetime | None = run.created_at

    def drive(self, now: datetime) -> None:
        """Let everything happen that should have happened by now."""
        while self.due is not None and self.due <= now:
            moment, self.due = self.due, None
            if self._working:
                self._working.end(self._run.change(moment))
                self._working = None
            self._go_on(moment, None)

    def answer(self, question: Question, value: Any, now: datetime) -> None:
        """Take the answer to a pending question; after the last one the script goes on."""
        moment = self._run.change(now)
        question.answer = value
        question.answered_at = moment
        question.step.end(moment)
        if all(asked.answered_at for asked in self._asked):
            self._run.statuses.append((moment, "running"))
            self._go_on(now, [asked.answer for asked in self._asked])

    def _go_on(self, moment: datetime, reply: Any) -> None:
        """
        Hand a reply to the innermost script, and do what it says until that takes time or an answer.

        :param reply: An exception is raised inside the script.
        """
        while self._frames:
            frame = self._frames[-1]
            try:
                command = frame.script.throw(reply) if isinstance(reply, Exception) else frame.script.send(reply)
            except StopIteration as end:
                reply = self._return(frame, end.value, moment)
            except Fails as failure:
                reply = self._fail(frame, failure, moment)
            except Exception as fault:
                log.exception("The script of the agent %s has a fault", self._run.agent)
                reply = self._fail(frame, Fails("The script has a fault", repr(fault)), moment)
            else:
                reply = self._obey(command, moment)
                if reply is _WAIT:
                    return

    def _obey(self, command: object, moment: datetime) -> object:
        """Do what the script says, and return what to reply at once, or that it has to wait."""
        try:
            if len(self._run.steps) >= _MOST_STEPS:
                raise ValueError(f"a run has {_MOST_STEPS} steps at most")
            match command:
                case Work():
                    self._work(command, moment)
                    return _WAIT
                case Ask():
                    self._ask(_plain(list(command.values)), moment)
                    return _WAIT
                case Delegate():
                    moment = self._run.change(moment)
                    step = self._step("activity", command.name, command.label, moment, command.agent)
                    self._frames.append(_Frame(command.script, step))
                    return None
            raise TypeError(f"a script yields Work, Delegate or Ask, not {type(command).__name__}")
        except (TypeError, ValueError) as refusal:
            return refusal

    def _work(self, work: Work, moment: datetime) -> None:
        artifacts = _plain(list(work.artifacts))
        due = _later(moment, work.seconds / self._speed)
        self._working = self._step("activity", work.name, work.label, self._run.change(moment), work.agent)
        self._working.artifacts = artifacts
        self.due = due

    def _ask(self, values: list[Json], moment: datetime) -> None:
        if not values or not all(isinstance(value, dict) for value in values):
            raise TypeError("Ask takes one interrupt value or more, each a JSON object")
        moment = self._run.change(moment)
        for value in values:
            label = value.get("label")
            step = self._step("interrupt", "ask", str(label or "Asks a person"), moment, value.get("agent"))
            interrupt_id = self._ids.interrupt(self._run.id, len(self._run.questions))
            self._run.questions.append(Question(interrupt_id, value, step, moment))
        self._asked = self._run.questions[-len(values) :]
        self._run.statuses.append((moment, "interrupted"))

    def _return(self, frame: _Frame, result: Any, moment: datetime) -> object:
        """End a script that returned; what it returned is the reply to the enclosing one."""
        if frame.step:
            self._frames.pop()
            frame.step.end(self._run.change(moment))
            return result
        try:
            artifacts = self._identified(_plain([] if result is None else result))
        except (TypeError, ValueError) as fault:
            return self._fail(frame, Fails("The script has a fault", f"It returned no artifacts: {fault}"), moment)
        moment = self._run.change(moment)
        step = self._step("output", "output", "Hands over the output", moment)
        step.artifacts = artifacts
        step.end(moment)
        self._run.artifacts = artifacts
        self._end("completed", moment)
        return None

    def _fail(self, frame: _Frame, failure: Fails, moment: datetime) -> object:
        """End a script that failed; the reply to the enclosing one is that failure, which it may catch."""
        moment = self._run.change(moment)
        if failure is not self._noted:
            # Only where it began: the steps around it end as an error, without an error step of their own.
            step = self._step("error", failure.name, failure.label, moment)
            step.result = {"message": failure.message}
            step.end(moment, "error")
            self._noted = failure
        if frame.step:
            self._frames.pop()
            frame.step.end(moment, "error")
            return failure
        self._end("error", moment)
        return None

    def _end(self, status: Literal["completed", "error"], moment: datetime) -> None:
        self._frames.clear()
        self._run.statuses.append((moment, status))
        self._run.ended_at = moment
        self._run.engine = None

    def _identified(self, artifacts: Any) -> list[Json]:
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
        parent = self._frames[-1].step
        step = Step(
            id=self._ids.uuid(self._run.id, "step", len(self._run.steps)),
            run_id=self._run.id,
            agent=agent or (parent.agent if parent else self._run.agent),
            type=kind,
            name=name,
            label=label,
            parent=parent,
            started_at=moment,
        )
        self._run.steps.append(step)
        return step


def _later(moment: datetime, seconds: float) -> datetime:
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        # Work of infinite seconds never ends.
        return datetime.max.replace(tzinfo=moment.tzinfo)


def _plain(value: Any) -> Any:
    """Copy a JSON value, so that a script that goes on changing its own does not change the past."""
    return json.loads(json.dumps(value, allow_nan=False))
