# SPDX-License-Identifier: Apache-2.0
"""
Executes scripts without a background task: the service updates a run whenever it reads it.

The times of a step do not depend on when the service reads the run.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_agentruns.emulator.runs import Question, Run, State, Status, timestamp, uuid_of
from airflow_provider_agentruns.emulator.script_steps import Ask, Delegate, Fails, Json, ScriptBody, Work

log = logging.getLogger(__name__)


class ScriptRunner:
    """Executes the script of one run."""

    def __init__(self, run: Run, script: ScriptBody, speed: float) -> None:
        self._run = run
        self._speed = speed
        self._now = run.created_at
        self._steps = 0
        self._progress = self._run_to_the_end(script)
        #: The time at which the script continues. None while it waits for answers, and after its end.
        self.due_at: datetime | None = run.created_at

    def run_until(self, now: datetime) -> None:
        """Do the work that is due."""
        while self.due_at is not None and self.due_at <= now:
            self._now, self.due_at = self.due_at, None
            next(self._progress, None)

    def answer(self, question: Question, value: Any, now: datetime) -> None:
        """Record the answer to a pending question. The script continues after the last answer."""
        self._now = now
        question.answer = value
        self._end(question.step)
        pending = tuple(other for other in self._run.states[-1].pending if other != question.id)
        self._enter("interrupted" if pending else "running", pending)
        if not pending:
            next(self._progress, None)

    def _run_to_the_end(self, script: ScriptBody) -> Generator[None, None, None]:
        """Run the script and end the run. Yield when the script must wait for time or for answers."""
        try:
            artifacts = yield from self._run_script(self._artifacts(script), None)
        except Fails:
            self._enter("error")
            return
        step = self._step(None, "output", "output", "Returns the output")
        self._run.artifacts = artifacts
        self._end(step, artifacts=artifacts)
        self._enter("completed")

    def _artifacts(self, script: ScriptBody) -> ScriptBody:
        artifacts = _copied((yield from script) or [])
        return [{"id": uuid_of(self._run.id, "artifact", n), **artifact} for n, artifact in enumerate(artifacts)]

    def _run_script(self, script: ScriptBody, parent: Json | None) -> Generator[None, None, Any]:
        """
        Run a script inside a step, and return its result.

        :raises Fails: If the script fails. An error step shows why.
        """
        reply: Any = None
        failure: Fails | None = None
        try:
            while True:
                command = script.throw(failure) if failure else script.send(reply)
                reply = failure = None
                match command:
                    case Work():
                        step = self._step(parent, "activity", command.name, command.label, command.agent)
                        self.due_at = self._now + timedelta(seconds=command.seconds / self._speed)
                        yield
                        self._end(step, artifacts=_copied(list(command.artifacts)))
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
        except StopIteration as end:
            return end.value
        except Exception as error:  # noqa: BLE001 -- a script may raise anything; the run shows it
            raise self._reported(error, parent) from None

    def _ask(self, command: Ask, parent: Json | None) -> list[Question]:
        asked = []
        for value in _copied(list(command.values)):
            label = str(value.get("label") or "Asks a person")
            step = self._step(parent, "interrupt", "ask", label, value.get("agent"))
            interrupt_id = f"int_{uuid_of(self._run.id, 'interrupt', len(self._run.questions))[-12:]}"
            asked.append(Question(interrupt_id, value, step))
            self._run.questions.append(asked[-1])
        self._enter("interrupted", tuple(question.id for question in asked))
        return asked

    def _reported(self, error: Exception, parent: Json | None) -> Fails:
        """Add an error step for a failure, unless an inner script has added it."""
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
            "id": uuid_of(self._run.id, "step", self._steps),
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
    """Copy a JSON value, so that a script can change its own."""
    return json.loads(json.dumps(value, allow_nan=False))
