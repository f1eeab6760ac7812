# SPDX-License-Identifier: Apache-2.0
"""Scripts of user-defined agents, including wrong ones."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_agentruns.emulator.agents import BUILTIN
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.scripts import (
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


def _run(script: Script, speed: float = float("inf")) -> Run:
    service = Service(speed=speed, agents={**BUILTIN, "mine": script}, clock=Clock())
    run = service.create_run("mine", business_id=BUSINESS_ID)
    check({"$ref": "#/components/schemas/Run"}, run.as_json(steps=True))
    return run


def _message(run: Run) -> str:
    assert run.status == "error"
    step = run.as_json(steps=True)["steps"][-1]
    assert (step["type"], step["label"]) == ("error", "The script raised an error")
    return str(step["result"]["message"])


def test_a_script_gets_its_case() -> None:
    cases: list[Case] = []

    def mine(case: Case) -> ScriptBody:
        cases.append(case)
        yield Work(0, "work", "Works")
        return [{"title": "Number", "type": "number", "number": case.rng.random()}]

    first, second = _run(mine), _run(mine)
    assert [case.run_id for case in cases] == [first.id, second.id]
    assert (cases[0].agent, cases[0].context.type, cases[0].context.id) == ("mine", "business", BUSINESS_ID)
    assert first.output == second.output is not None


def test_the_result_of_a_delegate() -> None:
    def inner() -> ScriptBody:
        [answer] = yield Ask([{"label": "Well?"}])
        return [{"title": "Inner", "type": "inner", "answer": answer}]

    def mine(case: Case) -> ScriptBody:
        artifacts: list[Json] = yield Delegate(inner(), "inner", "Goes inside", agent="helper")
        return artifacts

    service = Service(speed=float("inf"), agents={"mine": mine})
    run = service.create_run("mine", business_id=BUSINESS_ID)
    assert "agent" not in run.interrupts[0]
    [step] = run.as_json(steps=True)["steps"]
    assert (step["steps"][0]["type"], step["steps"][0]["agent"]) == ("interrupt", "helper")
    run = service.answer(run.id, run.interrupts[0]["id"], ["any", {"json": True}])
    assert run.output
    assert run.output["artifacts"][0]["answer"] == ["any", {"json": True}]


def test_a_script_can_catch_a_failure() -> None:
    def inner() -> ScriptBody:
        yield Work(0, "try", "Tries")
        raise Fails("Cannot", "No way")

    def mine(case: Case) -> ScriptBody:
        try:
            yield Delegate(inner(), "inner", "Goes inside")
        except Fails as failure:
            yield Work(0, "mend", f"Mends: {failure.message}", artifacts=[{"title": "Patch", "type": "patch"}])
        return None

    run = _run(mine)
    assert run.output == {"artifacts": []}
    steps = run.as_json(steps=True)["steps"]
    assert labels(steps) == ["Goes inside", "  Tries", "  Cannot", "Mends: No way", "Returns the output"]
    assert [step["status"] for step in steps] == ["error", "completed", "completed"]
    assert steps[1]["artifacts"] == [{"title": "Patch", "type": "patch"}]


def test_a_failure_in_nested_scripts_has_one_error_step() -> None:
    def deepest() -> ScriptBody:
        yield Work(0, "try", "Tries")
        raise Fails("Cannot", "No way")

    def middle() -> ScriptBody:
        yield Delegate(deepest(), "deepest", "Goes deepest")
        return None

    def mine(case: Case) -> ScriptBody:
        yield Delegate(middle(), "middle", "Goes inside")
        return None

    run = _run(mine)
    assert labels(run.as_json(steps=True)["steps"]) == ["Goes inside", "  Goes deepest", "    Tries", "    Cannot"]
    assert [step.type for step in run.steps].count("error") == 1
    assert {step.status for step in run.steps if step.type == "activity" and step.name != "try"} == {"error"}


def test_an_error_in_a_script_ends_the_run_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def mine(case: Case) -> ScriptBody:
        yield Work(0, "work", "Works")
        raise KeyError("oops")

    with caplog.at_level(logging.ERROR):
        assert "oops" in _message(_run(mine))
    assert "mine" in caplog.text


@pytest.mark.parametrize(
    "command", [None, "work", Ask([]), Ask(["text"]), Ask([{"set": {1}}]), Work("x", "n", "l")]  # type: ignore[list-item, arg-type]
)  # fmt: skip
def test_a_script_that_yields_something_else(command: Any) -> None:
    def mine(case: Case) -> ScriptBody:
        yield command
        return None

    assert "TypeError" in _message(_run(mine))


@pytest.mark.parametrize("artifacts", [{"title": "x"}, ["text"], 1, [{"title": float("nan")}]])
def test_a_script_that_returns_something_else(artifacts: Any) -> None:
    def mine(case: Case) -> ScriptBody:
        yield Work(0, "work", "Works")
        return artifacts  # type: ignore[no-any-return]

    assert "no artifacts" in _message(_run(mine))


def test_a_script_that_never_ends() -> None:
    def mine(case: Case) -> ScriptBody:
        while True:
            yield Work(0, "work", "Works")

    service = Service(agents={"mine": mine})
    assert service.create_run("mine", business_id=BUSINESS_ID).status == "error"


def test_work_that_never_ends() -> None:
    def mine(case: Case) -> ScriptBody:
        yield Work(float("inf"), "work", "Works")
        return None

    assert _run(mine, speed=1.0).status == "running"


def test_a_script_can_reuse_its_values() -> None:
    def mine(case: Case) -> ScriptBody:
        value = {"label": "First?"}
        yield Ask([value])
        value["label"] = "Second?"
        yield Ask([value])
        return None

    service = Service(agents={"mine": mine})
    run = service.create_run("mine", business_id=BUSINESS_ID)
    service.answer(run.id, run.interrupts[0]["id"], "approve")
    assert [question.value["label"] for question in run.questions] == ["First?", "Second?"]


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        ("Approve", "approve"),
        (["Reject"], "reject"),
        ({"decision": ["Approve"]}, "approve"),
        ({"x": 1}, '{"x": 1}'),
        (True, "true"),
    ],
)
def test_decisions(answer: Any, decision: str) -> None:
    assert decision_in(answer) == decision
