# SPDX-License-Identifier: Apache-2.0
"""Executes scripts whenever the service reads a run. The times of a step do not depend on when that is."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_agentruns.emulator.runs import Run, State, Status, timestamp, uuid_of
from airflow_provider_agentruns.emulator.script_steps import Ask, Fails, Json, ScriptBody, Work

log = logging.getLogger(__name__)


class ScriptRunner:
    def __init__(self, run: Run, script: ScriptBody, speed: float) -> None:
        self._run = run
        self._speed = speed
        self._now = run.created_at
        self._steps = 0
        #: The answers to the latest questions, and the steps of those that are pending, by interrupt ID.
        self._answers: dict[str, Any] = {}
        self._pending: dict[str, Json] = {}
        self._enter("running")
        self._progress = self._run_to_the_end(script)
        #: The time at which the script continues. None while it waits for answers, and after its end.
        self.due_at: datetime | None = run.created_at

    def run_until(self, now: datetime) -> None:
        while self.due_at is not None and self.due_at <= now:
            self._now, self.due_at = self.due_at, None
            next(self._progress, None)

    def answer(self, interrupt_id: str, value: Any, now: datetime) -> None:
        """Record the answer to a pending question. The script continues after the last answer."""
        self._now = now
        self._answers[interrupt_id] = value
        self._end(self._pending.pop(interrupt_id))
        self._enter("interrupted" if self._pending else "running")
        if not self._pending:
            next(self._progress, None)

    def _run_to_the_end(self, script: ScriptBody) -> Generator[None, None, None]:
        try:
            results = _copied((yield from self._run_script(script)) or [])
            artifacts = [{"id": uuid_of(self._run.id, "artifact", n), **result} for n, result in enumerate(results)]
        except Exception as error:  # noqa: BLE001 -- a script may raise anything; the run shows it
            self._fail(error)
            return
        step = self._step(None, "output", "output", "Returns the output")
        self._run.artifacts = step["artifacts"] = artifacts
        self._end(step)
        self._enter("completed")

    def _run_script(self, script: ScriptBody) -> Generator[None, None, Any]:
        answers: list[Any] | None = None
        while True:
            try:
                command = script.send(answers)
            except StopIteration as end:
                return end.value
            answers = yield from (self._ask(command) if isinstance(command, Ask) else self._work(command, None))

    def _work(self, work: Work | Fails, parent: Json | None) -> Generator[None, None, None]:
        if isinstance(work, Fails):
            raise work
        step = self._step(parent, "activity", work.name, work.label, work.agent)
        self.due_at = self._now + timedelta(seconds=work.seconds / self._speed)
        yield
        for inner in work.steps:
            yield from self._work(inner, step)
        self._end(step)

    def _ask(self, command: Ask) -> Generator[None, None, list[Any]]:
        pending = {}
        for value in _copied(list(command.values)):
            label = str(value.get("label") or "Asks a person")
            interrupt_id = f"int_{uuid_of(self._run.id, 'interrupt', len(self._run.questions))[-12:]}"
            pending[interrupt_id] = self._step(None, "interrupt", "ask", label, value.get("agent"))
            agent = {"agent": value["agent"]} if "agent" in value else {}
            self._run.questions.append({"id": interrupt_id, **agent, "value": value})
        self._pending, self._answers = pending, dict.fromkeys(pending)
        self._enter("interrupted")
        yield
        return list(self._answers.values())

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, Fails):
            log.error("The script of the agent %s raised an error", self._run.agent, exc_info=error)
            error = Fails("The script raised an error", repr(error))
        running: list[Json] = []
        steps = self._run.steps
        while steps and steps[-1]["status"] == "running":
            running.append(steps[-1])
            steps = steps[-1]["steps"]
        step = self._step(running[-1] if running else None, "error", error.name, error.label)
        step["result"] = {"message": error.message}
        for failed in (step, *reversed(running)):
            self._end(failed, "error")
        self._enter("error")

    def _enter(self, status: Status) -> None:
        self._run.states.append(State(self._run.updated_at, status, tuple(self._pending)))

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

    def _end(self, step: Json, status: str = "completed") -> None:
        step |= {"completed_at": timestamp(self._run.touch(self._now)), "status": status}


def _copied(value: Any) -> Any:
    # A script can change its own value later.
    return json.loads(json.dumps(value, allow_nan=False))
