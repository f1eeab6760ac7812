# SPDX-License-Identifier: Apache-2.0
"""Answering an interrupt: what the service sees, and what the task says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.dag_runs import DagRunner
from tests.support.wire import Wire

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"


@pytest.fixture
def question(agent_runs_emulator: Emulator) -> tuple[str, str]:
    """Return the ids of a run and of the interrupt it waits with."""
    return asked(agent_runs_emulator, "needs_approval")


@pytest.fixture
def wire(agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Return what lies between Airflow and the service."""
    with Wire(agent_runs_emulator.url) as wire:
        monkeypatch.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", f"agentruns://:t0ken@127.0.0.1:{wire.port}/http")
        yield wire


def asked(emulator: Emulator, agent: str) -> tuple[str, str]:
    """Start a run and wait for its question."""
    run = emulator.service.create_run(agent, business_id=BUSINESS)
    while not (pending := emulator.service.get_run(run.id).interrupts):
        pass
    return run.id, pending[0]["id"]


def resume(run_id: str, interrupt_id: str, more: str = "") -> str:
    """Return the task that answers."""
    return (
        f'AgentRunResumeOperator(task_id="answer", run_id="{run_id}", interrupt_id="{interrupt_id}", '
        f'input={{"decision": "approve"}}, retries=1, retry_delay=timedelta(0), {more})'
    )


def test_the_answer_is_taken_and_the_run_goes_on(
    run_dag: DagRunner, agent_runs_emulator: Emulator, question: tuple[str, str]
) -> None:
    result = run_dag(resume(*question))
    assert result.xcom("answer") == {"run_id": question[0], "status": "running", "interrupt_id": question[1]}
    assert [(a.run_id, a.interrupt_id, a.input) for a in agent_runs_emulator.service.answers] == [
        (*question, {"decision": "approve"})
    ]


@pytest.mark.parametrize("deferrable", [True, False])
def test_it_waits_after_the_answer_where_that_is_wanted(
    run_dag: DagRunner, agent_runs_emulator: Emulator, question: tuple[str, str], deferrable: bool
) -> None:
    result = run_dag(resume(*question, f'wait_for="completed", deferrable={deferrable}, poll_interval=0.1'))
    assert result.xcom("answer")["status"] == "completed"
    assert len(agent_runs_emulator.service.answers) == 1


def test_only_the_interrupt_that_is_named_is_answered(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    run_id, first = asked(agent_runs_emulator, "two_questions")
    second = agent_runs_emulator.service.get_run(run_id).interrupts[1]["id"]
    result = run_dag(resume(run_id, second))
    assert result.xcom("answer")["status"] == "interrupted"
    assert [question["id"] for question in agent_runs_emulator.service.get_run(run_id).interrupts] == [first]


def test_an_interrupt_that_is_gone_is_reported_and_nothing_is_sent(
    run_dag: DagRunner, agent_runs_emulator: Emulator, question: tuple[str, str]
) -> None:
    agent_runs_emulator.service.answer(*question, "reject")
    result = run_dag(resume(*question))
    assert result.states == {"answer": "failed"}
    assert result.tries == {"answer": 1}
    assert "is not pending: somebody else may have answered it. Nothing was sent" in result.log
    assert agent_runs_emulator.count("POST", ".*/resume") == 0
    assert [answer.input for answer in agent_runs_emulator.service.answers] == ["reject"]


def test_an_answer_that_the_agent_does_not_take_is_final(
    run_dag: DagRunner, agent_runs_emulator: Emulator, question: tuple[str, str]
) -> None:
    result = run_dag(resume(*question).replace('{"decision": "approve"}', '"{{ none }}"'))
    # The template gives the text "None", which the agent takes for a word; null is what it refuses.
    assert result.state == "success"
    run_id, interrupt_id = asked(agent_runs_emulator, "needs_approval")
    result = run_dag(resume(run_id, interrupt_id).replace('{"decision": "approve"}', "None"))
    assert result.states == {"answer": "failed"}
    assert result.tries == {"answer": 1}
    assert "AgentRunInvalidRequestError" in result.log
    assert agent_runs_emulator.count("POST", f"/v1/runs/{run_id}/resume") == 1


def test_a_lost_response_leaves_the_answer_sent_exactly_once(
    run_dag: DagRunner, agent_runs_emulator: Emulator, question: tuple[str, str], wire: Wire
) -> None:
    wire.once("POST", ".*/resume", "lose the answer")
    result = run_dag(resume(*question))
    assert result.state == "success"
    assert wire.count("POST", ".*/resume") == 1
    assert len(agent_runs_emulator.service.answers) == 1
    assert "is not pending any more: answer taken" in result.log


def test_a_lost_request_is_sent_again_once_the_run_still_asks(
    run_dag: DagRunner, agent_runs_emulator: Emulator, question: tuple[str, str], wire: Wire
) -> None:
    wire.once("POST", ".*/resume", "lose the request")
    result = run_dag(resume(*question))
    assert result.state == "success"
    assert wire.count("POST", ".*/resume") == 2
    assert len(agent_runs_emulator.service.answers) == 1
    assert "is still pending: sending again" in result.log


def test_the_connection_says_how_an_answer_is_put(
    run_dag: DagRunner, agent_runs_emulator: Emulator, question: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_AGENTRUNS_DEFAULT",
        f'{{"conn_type": "agentruns", "host": "{agent_runs_emulator.url}", "password": "t0ken", "extra": '
        '{"resume_body": {"interrupt_id": "{interrupt_id}", "input": {"wrapped": "{input}"}}}}',
    )
    assert run_dag(resume(*question)).state == "success"
    assert [answer.input for answer in agent_runs_emulator.service.answers] == [{"wrapped": {"decision": "approve"}}]
