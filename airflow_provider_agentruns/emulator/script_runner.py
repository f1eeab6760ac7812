# SPDX-License-Identifier: Apache-2.0
"""
Executes the script of a run's agent, without a background task: the service updates a run before it reads it.

Each step has the times that it would have had, however late the service reads it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_agentruns.emulator.ids import Ids, timestamp
from airflow_provider_agentruns.emulator.runs import Question, Run, State, Status
from airflow_provider_agentruns.emulator.script_steps import Ask, Delegate, Fails, Json, ScriptBody, Work

log = logging.getLogger(__name__)

#: Ends a script that never ends although its work takes no time.
_MAX_STEPS = 10_000

#: Seconds: 30 years. Longer work is cut to this, because a time after the year 9999 cannot be represented.
_LONGEST_WORK = 1e9


class ScriptRunner:
    """Executes the script of one run."""

    def __init__(self, run: Run, script: ScriptBody, ids: Ids, speed: float) -> None:
        self._run = run
        self._ids = ids
        self._speed = speed
        self._now = run.created_at
        self._steps = 0
        self._progress = self._run_to_the_end(script)
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
        question.answer = value
        self._end(question.step)
        pending = tuple(other for other in self._run.states[-1].pending if other != question.id)
        self._enter("interrupted" if pending else "running", pending)
        if not pending:
            next(self._progress, None)

    def _run_to_the_end(self, script: ScriptBody) -> Generator[None, None, None]:
        """Run the agent's script, and end the run. Yield when the script must wait for time or for answers."""
        try:
            artifacts = yield from self._run_script(self._with_ids(script), None)
        except Fails:
            self._enter("error")
            return
        step = self._step(None, "output", "output", "Returns the output")
        self._run.artifacts = artifacts
        self._end(step, artifacts=artifacts)
        self._enter("completed")

    def _with_ids(self, script: ScriptBody) -> ScriptBody:
        artifacts = _copied((yield from script) or [])
        return [
            {"id": self._ids.uuid(self._run.id, "artifact", number), **artifact}
            for number, artifact in enumerate(artifacts)
        ]

    def _run_script(self, script: ScriptBody, parent: Json | None) -> Generator[None, None, Any]:
        """
        Run a script inside a step, and return its result.

        :raises Fails: If the script fails, after an error step shows why. The enclosing script may catch it.
        """
        reply: Any = None
        failure: Fails | None = None
        try:
            while True:
                command = script.throw(failure) if failure else script.send(reply)
                reply = failure = None
                if self._steps >= _MAX_STEPS:
                    raise ValueError(f"a run has at most {_MAX_STEPS} steps")
                match command:
                    case Work():
                        step = self._step(parent, "activity", command.name, command.label, command.agent)
                        artifacts = _copied(list(command.artifacts))
                        seconds = min(command.seconds / self._speed, _LONGEST_WORK)
                        self.due_at = self._now + timedelta(seconds=seconds)
                        yield
                        self._end(step, artifacts=artifacts)
                    case Ask():
                        asked = self._ask(command, parent)
                        yield
                        reply = [question.answer for question in asked]
                    case Delegate():
                        step = self._step(parent, "activity", command.name, command.label, command.agent)
                        try:
                            reply = yield from self._run_script(command.script, step)
                        except Fails as error:
                            failure = error
                        self._end(step, "error" if failure else "completed")
                    case _:
                        raise TypeError(f"a script yields Work, Delegate or Ask, not {type(command).__name__}")
        except StopIteration as end:
            return end.value
        except Exception as error:  # noqa: BLE001 -- a script may raise anything; the run shows it
            raise self._reported(error, parent) from None

    def _ask(self, command: Ask, parent: Json | None) -> list[Question]:
        asked = []
        for value in _copied(list(command.values)):
            label = str(value.get("label") or "Asks a person")
            step = self._step(parent, "interrupt", "ask", label, value.get("agent"))
            asked.append(Question(self._ids.interrupt(self._run.id, len(self._run.questions)), value, step))
            self._run.questions.append(asked[-1])
        if not asked:
            raise TypeError("Ask takes one interrupt value or more")
        self._enter("interrupted", tuple(question.id for question in asked))
        return asked

    def _reported(self, error: Exception, parent: Json | None) -> Fails:
        """Add an error step for a failure, unless an inner script has one already."""
        if isinstance(error, Fails):
            failure = error
        else:
            log.error("The script of the agent %s raised an error", self._run.agent, exc_info=error)
            failure = Fails("The script raised an error", repr(error))
        if not failure.reported:
            step = self._step(parent, "error", failure.name, failure.label)
            step["result"] = {"message": failure.message}
            self._end(step, "error")
            failure.reported = True
        return failure

    def _enter(self, status: Status, pending: tuple[str, ...] = ()) -> None:
        self._run.states.append(State(self._run.updated_at, status, pending))

    def _step(self, parent: Json | None, kind: str, name: str, label: str, agent: str | None = None) -> Json:
        step: Json = {
            "id": self._ids.uuid(self._run.id, "step", self._steps),
            "run_id": self._run.id,
            "agent": agent or (parent or {"agent": self._run.agent})["agent"],
            "type": kind,
            "name": name,
            "label": label,
            "parent_step_id": parent["id"] if parent else None,
            "status": "running",
            "started_at": timestamp(self._run.touch(self._now)),
            "completed_at": None,
            "steps": [],
        }
        self._steps += 1
        (parent["steps"] if parent else self._run.steps).append(step)
        return step

    def _end(self, step: Json, status: str = "completed", artifacts: list[Json] | None = None) -> None:
        step |= {"completed_at": timestamp(self._run.touch(self._now)), "status": status}
        if artifacts:
            step["artifacts"] = artifacts


def _copied(value: Any) -> Any:
    """Copy a JSON value, so that a script can reuse its own."""
    return json.loads(json.dumps(value, allow_nan=False))
