# SPDX-License-Identifier: Apache-2.0
"""Scripts of user-defined agents, including wrong ones."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.script_steps import (
    Ask,
    Case,
    Delegate,
    Fails,
    Json,
    Script,
    ScriptBody,
    Work,
    decision_in,
)
from airflow_provider_agentruns.emulator.service import Service
from tests.emulator.conftest import Clock
from tests.emulator.contract import BUSINESS_ID, check, labels


def _start(script: Script) -> tuple[Service, Run]:
    service = Service(agents={"mine": script}, clock=Clock())
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


def test_the_result_of_a_delegate() -> None:
    def inner() -> ScriptBody:
        [answer] = yield Ask([{"label": "Well?"}])
        return [{"title": "Inner", "type": "inner", "answer": answer}]

    def mine(case: Case) -> ScriptBody:
        artifacts: list[Json] = yield Delegate(inner(), "inner", "Goes inside", agent="helper")
        return artifacts

    service, run = _start(mine)
    assert "agent" not in run.interrupts[0]
    [step] = run.as_json(steps=True)["steps"]
    assert (step["steps"][0]["type"], step["steps"][0]["agent"]) == ("interrupt", "helper")
    run = service.answer(run.id, run.interrupts[0]["id"], ["any", {"json": True}])
    assert run.output
    assert run.output["artifacts"][0]["answer"] == ["any", {"json": True}]


def test_a_failure_is_shown_once_and_can_be_caught() -> None:
    def deepest() -> ScriptBody:
        yield Work(0, "try", "Tries")
        raise Fails("Cannot", "No way")

    def middle() -> ScriptBody:
        yield Delegate(deepest(), "deepest", "Goes deepest")
        return None

    def mine(case: Case) -> ScriptBody:
        try:
            yield Delegate(middle(), "middle", "Goes inside")
        except Fails as failure:
            yield Work(0, "mend", f"Mends: {failure.message}", artifacts=[{"title": "Patch", "type": "patch"}])
        yield Delegate(middle(), "middle", "Goes inside")
        return None

    _, run = _start(mine)
    steps = run.as_json(steps=True)["steps"]
    failed = ["Goes inside", "  Goes deepest", "    Tries", "    Cannot"]
    assert labels(steps) == [*failed, "Mends: No way", *failed]
    assert [step["status"] for step in steps] == ["error", "completed", "error"]
    assert steps[1]["artifacts"] == [{"title": "Patch", "type": "patch"}]
    assert run.status == "error"


@pytest.mark.parametrize(
    ("command", "artifacts", "message"),
    [
        (Ask([{"set": {1}}]), None, "set is not JSON serializable"),
        (Work("x", "n", "l"), None, "TypeError"),  # type: ignore[arg-type]
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
    [
        (" Approve", "approve"),
        ({"decision": ["Approve"]}, "approve"),
        ({"x": 1}, '{"x": 1}'),
    ],
)
def test_decisions(answer: Any, decision: str) -> None:
    assert decision_in(answer) == decision
