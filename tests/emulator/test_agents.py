# SPDX-License-Identifier: Apache-2.0
"""Runs of each built-in agent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from airflow_provider_agentruns.emulator.agents import BUILTIN
from tests.emulator.conftest import Clock
from tests.emulator.contract import BUSINESS_ID, Client, error_of, labels


def test_all_agents_are_listed(client: Client) -> None:
    agents = client.get("/v1/agents").json()["data"]
    assert [agent["type"] for agent in agents] == list(BUILTIN)
    assert all(agent["description"].endswith(".") for agent in agents)
    for agent in agents:
        assert client.get(f"/v1/agents/{agent['id']}").json() == agent


def test_instant_completes_at_once(client: Client) -> None:
    run = client.start("instant")
    assert run["status"] == "completed"
    assert run["ended_at"] == run["updated_at"] > run["created_at"]
    [artifact] = run["output"]["artifacts"]
    assert UUID(artifact["id"])
    assert "steps" not in run


def test_slow_takes_five_seconds_in_nested_steps(client: Client, clock: Clock) -> None:
    run_id = client.start("slow")["id"]
    seen = [client.run(run_id)]
    for _ in range(10):
        clock.forward(0.5)
        seen.append(client.run(run_id))
    assert [run["status"] for run in seen] == ["running"] * 10 + ["completed"]
    assert len({run["updated_at"] for run in seen}) > 5
    assert all(run["output"] is None for run in seen[:-1])
    assert labels(seen[-1]["steps"]) == [
        "Plans the research",
        "Researches the company",
        "  Reads the company registry",
        "  Searches the web",
        "    Finds the company's pages",
        "    Reads the company's pages",
        "  Compares the results",
        "Writes the report",
        "Returns the output",
    ]
    assert {step["status"] for step in _walk(seen[-1]["steps"])} == {"completed"}


def test_a_step_is_visible_while_it_runs(client: Client, clock: Clock) -> None:
    run_id = client.start("slow")["id"]
    clock.forward(2)
    [_, research] = client.run(run_id)["steps"]
    [registry, web] = research["steps"]
    assert [research["status"], registry["status"], web["status"]] == ["running", "completed", "running"]
    assert web["completed_at"] is None
    assert web["parent_step_id"] == research["id"]
    assert research["parent_step_id"] is None
    assert [research["agent"], web["agent"], web["steps"][0]["agent"]] == ["researcher", "web_reader", "web_reader"]


@pytest.mark.parametrize(
    ("answer", "decision"),
    [("approve", "approve"), (" Reject ", "reject"), ({"decision": "reject", "note": "?"}, "reject"), (7, "7")],
)
def test_needs_approval_reports_the_decision(client: Client, clock: Clock, answer: Any, decision: str) -> None:
    run = client.start("needs_approval")
    assert run["interrupts"] == []
    clock.forward(0.5)
    waiting = client.run(run["id"])
    assert waiting["status"] == "interrupted"
    assert (waiting["output"], waiting["ended_at"]) == (None, None)
    [interrupt] = waiting["interrupts"]
    assert interrupt["id"].startswith("int_")
    assert interrupt["agent"] == interrupt["value"]["agent"] == "needs_approval"
    assert interrupt["value"]["label"].endswith("?")
    assert interrupt["value"]["artifacts"]
    assert waiting["steps"][-1]["type"] == "interrupt"
    assert waiting["steps"][-1]["status"] == "running"

    resumed = client.resume(run["id"], interrupt["id"], answer).json()
    assert (resumed["status"], resumed["interrupts"]) == ("running", [])
    assert "steps" not in resumed
    clock.forward(0.5)
    ended = client.run(run["id"])
    [artifact] = ended["output"]["artifacts"]
    assert (artifact["decision"], artifact["answer"]) == (decision, answer)
    assert decision in artifact["summary"]
    assert [step["type"] for step in ended["steps"]] == ["activity", "interrupt", "activity", "output"]


def test_two_questions_are_asked_at_once_and_answered_one_by_one(client: Client, clock: Clock) -> None:
    run_id = client.start("two_questions")["id"]
    clock.forward(0.5)
    name, officer = client.run(run_id)["interrupts"]
    first = client.resume(run_id, officer["id"], "reject").json()
    assert first["status"] == "interrupted"
    assert first["interrupts"] == [name]
    assert officer["id"] in error_of(client.resume(run_id, officer["id"], "reject"), 409)["message"]
    assert client.resume(run_id, name["id"], "approve").json()["status"] == "running"
    clock.forward(0.5)
    artifacts = client.run(run_id)["output"]["artifacts"]
    assert [artifact["decision"] for artifact in artifacts] == ["approve", "reject"]


def test_two_rounds_ask_again_and_check_the_second_answer(client: Client, clock: Clock) -> None:
    run_id = client.start("two_rounds")["id"]
    clock.forward(0.5)
    [first] = client.run(run_id)["interrupts"]
    assert client.resume(run_id, first["id"], "approve").json()["status"] == "running"
    clock.forward(0.5)
    [second] = client.run(run_id)["interrupts"]
    assert second["id"] != first["id"]
    assert second["value"]["input_schema"]["type"] == "object"
    for misfit in ("approve", {}, {"decision": "perhaps"}, {"decision": "approve", "note": 1}):
        assert error_of(client.resume(run_id, second["id"], misfit), 422)["parameter"] == "input"
    assert client.run(run_id)["interrupts"] == [second]
    assert client.resume(run_id, second["id"], {"decision": "reject"}).json()["status"] == "running"
    clock.forward(0.5)
    assert [a["decision"] for a in client.run(run_id)["output"]["artifacts"]] == ["approve", "reject"]


def test_cip_orchestrator_makes_one_combined_proposal(client: Client, clock: Clock) -> None:
    run_id = client.start("cip_orchestrator")["id"]
    clock.forward(2.9)
    assert client.run(run_id)["status"] == "running"
    clock.forward(0.2)
    waiting = client.run(run_id)
    assert {step["agent"] for step in _walk(waiting["steps"])} == {
        "cip_orchestrator",
        "registry_agent",
        "ownership_agent",
        "web_agent",
    }
    [interrupt] = waiting["interrupts"]
    value = interrupt["value"]
    assert (value["type"], value["agent"]) == ("combined_proposal", "cip_orchestrator")
    assert [p["agent"] for p in value["proposals"]] == ["registry_agent", "ownership_agent", "web_agent"]
    assert all(proposal["label"] and proposal["artifacts"] for proposal in value["proposals"])
    client.resume(run_id, interrupt["id"], {"decision": "approve"})
    clock.forward(0.5)
    summary, *others = client.run(run_id)["output"]["artifacts"]
    assert summary["type"] == "cip_summary"
    assert len(others) == 3
    assert all(a["confidence"] and a["summary"] and a["sources"] for a in (summary, *others))
    assert summary["checks"]["registration"] == "passed"


def test_fails_ends_with_an_error_in_a_nested_step(client: Client, clock: Clock) -> None:
    run_id = client.start("fails", context_type="business", context_id=BUSINESS_ID)["id"]
    clock.forward(1)
    run = client.run(run_id)
    assert run["status"] == "error"
    assert run["ended_at"]
    assert run["output"] is None
    plan, registry = run["steps"]
    assert [plan["status"], registry["status"]] == ["completed", "error"]
    failure = registry["steps"][-1]
    assert (failure["type"], failure["status"]) == ("error", "error")
    assert failure["label"] == "The company registry cannot be reached"


def _walk(steps: list[Any]) -> list[Any]:
    return [found for step in steps for found in (step, *_walk(step["steps"]))]
