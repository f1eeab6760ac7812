# SPDX-License-Identifier: Apache-2.0
"""Runs of each built-in agent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.emulator.conftest import Clock
from tests.emulator.contract import BUSINESS_ID, Client, error_of, labels


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


@pytest.mark.parametrize(("answer", "decision"), [("approve", "approve"), ({"decision": "reject"}, "reject")])
def test_needs_approval_reports_the_decision(client: Client, clock: Clock, answer: Any, decision: str) -> None:
    run = client.start("needs_approval")
    assert run["interrupts"] == []
    clock.forward(0.5)
    waiting = client.run(run["id"])
    assert (waiting["status"], waiting["output"], waiting["ended_at"]) == ("interrupted", None, None)
    [interrupt] = waiting["interrupts"]
    assert interrupt["agent"] == interrupt["value"]["agent"] == "needs_approval"
    assert interrupt["value"]["artifacts"]

    resumed = client.resume(run["id"], interrupt["id"], answer).json()
    assert (resumed["status"], resumed["interrupts"]) == ("running", [])
    clock.forward(0.5)
    ended = client.run(run["id"])
    [artifact] = ended["output"]["artifacts"]
    assert (artifact["decision"], artifact["answer"]) == (decision, answer)
    assert [step["type"] for step in ended["steps"]] == ["activity", "interrupt", "activity", "output"]


def test_two_questions_are_asked_at_once_and_answered_one_by_one(client: Client, clock: Clock) -> None:
    run_id = client.start("two_questions")["id"]
    clock.forward(0.5)
    name, officer = client.run(run_id)["interrupts"]
    first = client.resume(run_id, officer["id"], "reject").json()
    assert (first["status"], first["interrupts"]) == ("interrupted", [name])
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
    agents = ["registry_agent", "ownership_agent", "web_agent"]
    assert {step["agent"] for step in waiting["steps"]} == {"cip_orchestrator", *agents}
    [interrupt] = waiting["interrupts"]
    value = interrupt["value"]
    assert (value["type"], value["agent"]) == ("combined_proposal", "cip_orchestrator")
    assert [p["agent"] for p in value["proposals"]] == agents
    assert all(proposal["label"] and proposal["artifacts"] for proposal in value["proposals"])
    client.resume(run_id, interrupt["id"], {"decision": "approve"})
    clock.forward(0.5)
    artifacts = client.run(run_id)["output"]["artifacts"]
    assert len(artifacts) == 4
    assert all(artifact["confidence"] and artifact["summary"] and artifact["sources"] for artifact in artifacts)


def test_fails_ends_with_an_error_in_a_nested_step(client: Client, clock: Clock) -> None:
    run_id = client.start("fails", context_type="business", context_id=BUSINESS_ID)["id"]
    clock.forward(1)
    run = client.run(run_id)
    assert (run["status"], run["output"]) == ("error", None)
    assert run["ended_at"]
    plan, registry = run["steps"]
    failure = registry["steps"][-1]
    assert [plan["status"], registry["status"], failure["status"]] == ["completed", "error", "error"]
    assert (failure["type"], failure["label"]) == ("error", "The company registry cannot be reached")
