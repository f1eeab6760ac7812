# SPDX-License-Identifier: Apache-2.0
"""Scripts of user-defined agents, including wrong ones, and the reproducibility of all runs."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_agentruns.emulator.agent_scripts import BUILTIN
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.script_steps import Ask, Case, Fails, Script, ScriptBody, Work, decision_in
from airflow_provider_agentruns.emulator.service import Service
from tests.emulator.conftest import Clock
from tests.emulator.contract import BUSINESS_ID, check, labels


def _start(script: Script) -> tuple[Service, Run]:
    service = Service(agents={"mine": script})
    run = service.create_run("mine", business_id=BUSINESS_ID)
    check({"$ref": "#/components/schemas/Run"}, run.as_json(steps=True))
    return service, run


def test_a_script_gets_its_case() -> None:
    def mine(case: Case) -> ScriptBody:
        assert (case.agent, case.context.type, case.context.id) == ("mine", "business", BUSINESS_ID)
        yield Work(0, "work", "Works")
        return [{"title": case.run_id, "type": "number", "number": case.rng.random()}]

    first, second = (_start(mine)[1] for _ in range(2))
    assert first.output == second.output is not None
    assert first.output["artifacts"][0]["title"] == first.id


def test_answers_are_any_json_values() -> None:
    def mine(case: Case) -> ScriptBody:
        [answer] = yield Ask([{"label": "Well?"}])
        return [{"title": "Answer", "type": "answer", "answer": answer}]

    service, run = _start(mine)
    assert "agent" not in run.interrupts[0]
    run = service.answer(run.id, run.interrupts[0]["id"], ["any", {"json": True}])
    assert run.output
    assert run.output["artifacts"][0]["answer"] == ["any", {"json": True}]


def test_a_failure_is_shown_in_the_innermost_step() -> None:
    def mine(case: Case) -> ScriptBody:
        yield Work(0, "plan", "Plans")
        deepest = Work(0, "deepest", "Goes deepest", steps=[Work(0, "try", "Tries"), Fails("Cannot", "No way")])
        yield Work(0, "middle", "Goes inside", agent="helper", steps=[deepest, Work(0, "never", "Never")])
        return None

    _, run = _start(mine)
    steps = run.as_json(steps=True)["steps"]
    assert labels(steps) == ["Plans", "Goes inside", "  Goes deepest", "    Tries", "    Cannot"]
    assert [step["status"] for step in steps] == ["completed", "error"]
    [inner] = steps[1]["steps"]
    assert (inner["agent"], [step["status"] for step in inner["steps"]]) == ("helper", ["completed", "error"])
    assert run.status == "error"


@pytest.mark.parametrize(
    ("command", "artifacts", "message"),
    [
        (Ask([{"set": {1}}]), None, "set is not JSON serializable"),
        (Work(0, "n", "l"), ["x"], "TypeError"),
        (Work(0, "n", "l"), [{"title": float("nan")}], "not JSON compliant"),
        (Work(0, "n", "l"), KeyError("oops"), "oops"),
    ],
)
def test_a_wrong_script_ends_the_run_with_an_error_that_is_logged(
    command: Any, artifacts: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    def mine(case: Case) -> ScriptBody:
        yield command
        if isinstance(artifacts, Exception):
            raise artifacts
        return artifacts  # type: ignore[no-any-return]

    _, run = _start(mine)
    assert run.status == "error"
    step = run.as_json(steps=True)["steps"][-1]
    assert (step["type"], step["label"]) == ("error", "The script raised an error")
    assert message in step["result"]["message"]
    assert "The script of the agent mine raised an error" in caplog.messages


@pytest.mark.parametrize(
    ("answer", "decision"),
    [(" Approve", "approve"), ({"decision": ["Approve"]}, "approve"), ({"x": 1}, '{"x": 1}')],
)
def test_decisions(answer: Any, decision: str) -> None:
    assert decision_in(answer) == decision


def _finished(seed: int, *, read_often: bool) -> list[Any]:
    clock = Clock()
    service = Service(seed)
    service.clock = clock
    runs = [service.create_run(agent, business_id=BUSINESS_ID).id for agent in BUILTIN]
    for _ in range(40):
        clock.forward(0.25)
        if read_often:
            assert list(service.runs) == runs
    for run_id in runs:
        for interrupt in service.runs[run_id].interrupts:
            service.answer(run_id, interrupt["id"], {"decision": "approve"})
    clock.forward(10)
    return [service.runs[run_id].as_json(steps=True) for run_id in runs]


def test_the_same_seed_gives_the_same_runs_however_often_they_are_read() -> None:
    often = _finished(7, read_often=True)
    assert often == _finished(7, read_often=False)
    assert not {run["id"] for run in often} & {run["id"] for run in _finished(8, read_often=False)}
