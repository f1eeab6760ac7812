# SPDX-License-Identifier: Apache-2.0
"""Runs of each built-in agent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.conftest import Clock
from tests.emulator.contract import Client, error_of, labels

#: An answer that fits each question.
APPROVE = {"decision": "approve"}


def pending(client: Client, clock: Clock, run_id: str) -> Any:
    clock.forward(6)
    return client.run(run_id)["interrupts"]


@pytest.mark.parametrize(
    ("agent", "rounds", "status"),
    [
        ("instant", [], "completed"),
        ("slow", [], "completed"),
        ("needs_approval", [1], "completed"),
        ("two_questions", [2], "completed"),
        ("two_rounds", [1, 1], "completed"),
        ("cip_orchestrator", [1], "completed"),
        ("fails", [], "error"),
    ],
)
def test_each_agent_asks_its_questions_and_ends(
    client: Client, clock: Clock, agent: str, rounds: list[int], status: str
) -> None:
    run_id = client.start(agent)["id"]
    asked = []
    while questions := pending(client, clock, run_id):
        asked.append(len(questions))
        for number, question in enumerate(questions, 1):
            assert question["agent"] == question["value"]["agent"] == agent
            resumed = client.resume(run_id, question["id"], APPROVE).json()
            assert resumed["status"] == ("running" if number == len(questions) else "interrupted")
    run = client.run(run_id)
    assert (asked, run["status"]) == (rounds, status)
    assert (run["output"] is None) == (status == "error")
    assert run["ended_at"] == run["updated_at"] > run["created_at"]


def test_slow_takes_five_seconds_in_nested_steps(client: Client, clock: Clock) -> None:
    run_id = client.start("slow")["id"]
    clock.forward(4.9)
    assert client.run(run_id)["status"] == "running"
    clock.forward(0.1)
    run = client.run(run_id)
    assert run["status"] == "completed"
    assert labels(run["steps"]) == [
        "Plans the research",
        "Researches the company",
        "  Reads the company registry",
        "  Searches the web",
        "    Reads the company's pages",
        "Writes the report",
        "Returns the output",
    ]


@pytest.mark.parametrize(("answer", "decision"), [("approve", "approve"), ({"decision": "reject"}, "reject")])
def test_the_output_contains_the_decision(client: Client, clock: Clock, answer: Any, decision: str) -> None:
    run_id = client.start("needs_approval")["id"]
    [interrupt] = pending(client, clock, run_id)
    client.resume(run_id, interrupt["id"], answer)
    clock.forward(1)
    run = client.run(run_id)
    assert [artifact["decision"] for artifact in run["output"]["artifacts"]] == [decision]
    assert [step["type"] for step in run["steps"]] == ["activity", "interrupt", "activity", "output"]


def test_two_rounds_checks_the_second_answer(client: Client, clock: Clock) -> None:
    run_id = client.start("two_rounds")["id"]
    [first] = pending(client, clock, run_id)
    client.resume(run_id, first["id"], "approve")
    [second] = pending(client, clock, run_id)
    assert second["id"] != first["id"]
    for misfit in ("approve", {}, {"decision": "perhaps"}, {"decision": "approve", "note": 1}):
        assert error_of(client.resume(run_id, second["id"], misfit), 422)["parameter"] == "input"
    assert client.run(run_id)["interrupts"] == [second]


def test_cip_orchestrator_makes_one_combined_proposal(client: Client, clock: Clock) -> None:
    [interrupt] = pending(client, clock, client.start("cip_orchestrator")["id"])
    value = interrupt["value"]
    assert value["type"] == "combined_proposal"
    assert [it["agent"] for it in value["proposals"]] == ["registry_agent", "ownership_agent", "web_agent"]
    assert all(proposal["label"] and proposal["artifacts"] for proposal in value["proposals"])


def test_fails_ends_with_an_error_in_a_nested_step(client: Client, clock: Clock) -> None:
    run_id = client.start("fails")["id"]
    clock.forward(1)
    outer = client.run(run_id)["steps"][1]
    failure = outer["steps"][-1]
    assert [outer["status"], failure["status"], failure["type"]] == ["error", "error", "error"]
    assert failure["label"] == "The company registry cannot be reached"
