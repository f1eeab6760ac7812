# SPDX-License-Identifier: Apache-2.0
"""Runs of each built-in agent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.emulator.conftest import Clock
from tests.emulator.contract import Client, error_of, labels


def interrupts(client: Client, clock: Clock, run_id: str) -> Any:
    clock.forward(1)
    return client.run(run_id)["interrupts"]


def decisions(client: Client, clock: Clock, run_id: str) -> list[str]:
    clock.forward(1)
    run = client.run(run_id)
    assert run["status"] == "completed"
    return [artifact["decision"] for artifact in run["output"]["artifacts"]]


def test_instant_completes_at_once(client: Client) -> None:
    run = client.start("instant")
    assert run["status"] == "completed"
    assert run["ended_at"] == run["updated_at"] > run["created_at"]
    assert UUID(run["output"]["artifacts"][0]["id"])


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
        "    Reads the company's pages",
        "Writes the report",
        "Returns the output",
    ]


@pytest.mark.parametrize(("answer", "decision"), [("approve", "approve"), ({"decision": "reject"}, "reject")])
def test_needs_approval_reports_the_decision(client: Client, clock: Clock, answer: Any, decision: str) -> None:
    run = client.start("needs_approval")
    assert run["interrupts"] == []
    [interrupt] = interrupts(client, clock, run["id"])
    assert interrupt["agent"] == interrupt["value"]["agent"] == "needs_approval"
    assert interrupt["value"]["artifacts"]
    resumed = client.resume(run["id"], interrupt["id"], answer).json()
    assert (resumed["status"], resumed["interrupts"]) == ("running", [])
    assert decisions(client, clock, run["id"]) == [decision]
    assert [step["type"] for step in client.run(run["id"])["steps"]] == ["activity", "interrupt", "activity", "output"]


def test_two_questions_are_asked_at_once_and_answered_one_by_one(client: Client, clock: Clock) -> None:
    run_id = client.start("two_questions")["id"]
    name, officer = interrupts(client, clock, run_id)
    first = client.resume(run_id, officer["id"], "reject").json()
    assert (first["status"], first["interrupts"]) == ("interrupted", [name])
    assert client.resume(run_id, name["id"], "approve").json()["status"] == "running"
    assert decisions(client, clock, run_id) == ["approve", "reject"]


def test_two_rounds_ask_again_and_check_the_second_answer(client: Client, clock: Clock) -> None:
    run_id = client.start("two_rounds")["id"]
    [first] = interrupts(client, clock, run_id)
    assert client.resume(run_id, first["id"], "approve").json()["status"] == "running"
    [second] = interrupts(client, clock, run_id)
    assert second["id"] != first["id"]
    for misfit in ("approve", {}, {"decision": "perhaps"}, {"decision": "approve", "note": 1}):
        assert error_of(client.resume(run_id, second["id"], misfit), 422)["parameter"] == "input"
    assert client.run(run_id)["interrupts"] == [second]
    assert client.resume(run_id, second["id"], {"decision": "reject"}).json()["status"] == "running"
    assert decisions(client, clock, run_id) == ["approve", "reject"]


def test_cip_orchestrator_makes_one_combined_proposal(client: Client, clock: Clock) -> None:
    run_id = client.start("cip_orchestrator")["id"]
    clock.forward(2.9)
    assert client.run(run_id)["status"] == "running"
    [interrupt] = interrupts(client, clock, run_id)
    value = interrupt["value"]
    assert (value["type"], value["agent"]) == ("combined_proposal", "cip_orchestrator")
    assert [it["agent"] for it in value["proposals"]] == ["registry_agent", "ownership_agent", "web_agent"]
    assert all(proposal["label"] and proposal["artifacts"] for proposal in value["proposals"])
    client.resume(run_id, interrupt["id"], {"decision": "approve"})
    clock.forward(0.5)
    artifacts = client.run(run_id)["output"]["artifacts"]
    assert len(artifacts) == 4
    assert all(artifact["confidence"] and artifact["summary"] and artifact["sources"] for artifact in artifacts)


def test_fails_ends_with_an_error_in_a_nested_step(client: Client, clock: Clock) -> None:
    run_id = client.start("fails")["id"]
    clock.forward(1)
    run = client.run(run_id)
    assert (run["status"], run["output"]) == ("error", None)
    assert run["ended_at"]
    failure = run["steps"][1]["steps"][-1]
    assert [run["steps"][1]["status"], failure["status"], failure["type"]] == ["error", "error", "error"]
    assert failure["label"] == "The company registry cannot be reached"
