# SPDX-License-Identifier: Apache-2.0
"""Starting a run and waiting for it: from the DAG file to the XCom."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.operators.agent_run import AgentRunOperator
from tests.support.dag_runs import DagRunner
from tests.support.wire import Wire

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"

START = f"""
review = AgentRunOperator(
    task_id="review", agent="%s", business_id="{BUSINESS}", poll_interval=0.1, retries=2, retry_delay=timedelta(0), %s
)
"""


def shown(emulator: Emulator, run_id: str) -> dict:
    """Return a run as the service shows it."""
    answer = httpx.get(f"{emulator.url}/v1/runs/{run_id}", headers={"Authorization": f"Bearer {emulator.token}"})
    return answer.json()


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_output_reaches_the_next_task_as_the_service_sent_it(
    run_dag: DagRunner, agent_runs_emulator: Emulator, deferrable: bool
) -> None:
    result = run_dag(
        START % ("slow", f"deferrable={deferrable}")
        + """
@task
def titles(output):
    return [artifact["title"] for artifact in output["artifacts"]]

titles(review.output)
"""
    )
    assert result.state == "success"
    [run_id] = agent_runs_emulator.service.runs
    assert result.xcom("review", "run_id") == run_id
    output = shown(agent_runs_emulator, run_id)["output"]
    assert result.xcom("review") == output
    assert result.xcom("titles") == [artifact["title"] for artifact in output["artifacts"]]
    assert agent_runs_emulator.count("POST", "/v1/runs") == 1
    assert ("Pausing task as DEFERRED" in result.log) is deferrable


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_run_that_ends_in_error_fails_the_task_once_and_names_the_step(
    run_dag: DagRunner, agent_runs_emulator: Emulator, deferrable: bool
) -> None:
    result = run_dag(START % ("fails", f"deferrable={deferrable}"))
    assert result.states == {"review": "failed"}
    assert result.tries == {"review": 1}
    assert "AgentRunFailedError" in result.log
    assert "ended in error at the step" in result.log
    assert "During handling of the above exception" not in result.log
    assert agent_runs_emulator.count("POST", "/v1/runs") == 1


def test_an_interrupted_run_fails_the_task_with_its_question_and_retries_look_at_the_same_run(
    run_dag: DagRunner, agent_runs_emulator: Emulator
) -> None:
    result = run_dag(START % ("needs_approval", "deferrable=True"))
    assert result.states == {"review": "failed"}
    assert result.tries == {"review": 3}
    [run] = agent_runs_emulator.service.runs.values()
    [question] = run.interrupts
    assert "AgentRunInterruptedError" in result.log
    assert question["value"]["label"] in result.log
    assert question["id"] in result.log


@pytest.mark.parametrize("deferrable", [True, False])
def test_on_interrupt_wait_goes_on_until_somebody_has_answered_elsewhere(
    run_dag: DagRunner, agent_runs_emulator: Emulator, answer_elsewhere: Callable[..., None], deferrable: bool
) -> None:
    answer_elsewhere(after=0.5)
    result = run_dag(START % ("two_rounds", f'deferrable={deferrable}, on_interrupt="wait"'))
    assert result.state == "success"
    assert result.xcom("review")["artifacts"]
    assert len(agent_runs_emulator.service.answers) == 2


def test_an_awaited_interrupt_gives_what_a_sensor_gives(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    result = run_dag(START % ("two_questions", 'deferrable=True, wait_for=("completed", "interrupted")'))
    [run] = agent_runs_emulator.service.runs.values()
    assert result.xcom("review") == {
        "run_id": run.id,
        "status": "interrupted",
        "agent": "two_questions",
        "thread_id": run.thread_id,
        "interrupts": [
            {"id": question["id"], "agent": question["value"]["agent"], "value": question["value"]}
            for question in run.interrupts
        ],
    }


def test_no_awaited_status_starts_the_run_and_waits_for_nothing(
    run_dag: DagRunner, agent_runs_emulator: Emulator
) -> None:
    result = run_dag(START % ("slow", "deferrable=True, wait_for=()"))
    assert result.xcom("review")["status"] == "running"
    assert result.xcom("review")["run_id"] == result.xcom("review", "run_id")
    assert agent_runs_emulator.count("GET", ".*") == 0


@pytest.mark.agent_runs(speed=0.01)
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_timeout_says_that_the_run_goes_on(
    run_dag: DagRunner, agent_runs_emulator: Emulator, deferrable: bool
) -> None:
    result = run_dag(START.replace("retries=2", "retries=0") % ("slow", f"deferrable={deferrable}, timeout=0.4"))
    assert result.states == {"review": "failed"}
    assert "AgentRunTimeoutError" in result.log
    assert [run.status for run in agent_runs_emulator.service.runs.values()] == ["running"]


@pytest.mark.parametrize(
    ("agent", "business", "says"),
    [
        ("no_such_agent", BUSINESS, "404"),
        ("slow", "", "business_id"),
        ("", BUSINESS, "agent is empty"),
    ],
)
def test_what_the_service_cannot_start_uses_up_no_retries(
    run_dag: DagRunner, agent_runs_emulator: Emulator, agent: str, business: str, says: str
) -> None:
    source = START.replace(BUSINESS, "{{ '" + business + "' }}") % (agent, "deferrable=True")
    result = run_dag(source)
    assert result.states == {"review": "failed"}
    assert result.tries == {"review": 1}
    assert says in result.log
    assert not agent_runs_emulator.service.runs


def test_a_lost_answer_to_the_start_is_made_good_by_finding_the_run(
    run_dag: DagRunner, agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Wire(agent_runs_emulator.url) as wire:
        wire.once("POST", "/v1/runs", "lose the answer")
        monkeypatch.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", f"agentruns://:t0ken@127.0.0.1:{wire.port}/http")
        result = run_dag(START % ("instant", "deferrable=True"))
        assert result.state == "success"
        assert wire.count("POST", "/v1/runs") == 1
    assert result.xcom("review", "run_id") in agent_runs_emulator.service.runs
    assert "was started although its answer was lost" in result.log


def test_the_dags_default_args_reach_the_operator(
    run_dag: DagRunner, agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", agent_runs_emulator.connection_uri)
    monkeypatch.delenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT")
    result = run_dag.run_file(f"""
from datetime import datetime
from airflow.sdk import DAG
from airflow_provider_agentruns.operators.agent_run import AgentRunOperator

with DAG("with_defaults", schedule=None, start_date=datetime(2026, 1, 1),
         default_args={{"agentruns_conn_id": "other", "deferrable": True, "poll_interval": 0.1}}):
    review = AgentRunOperator(task_id="review", agent="slow", business_id="{BUSINESS}")
    assert (review.agentruns_conn_id, review.deferrable, review.poll_interval) == ("other", True, 0.1)
""")
    assert result.state == "success"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"wait_for": ("done",)}, "wait_for takes"),
        ({"on_interrupt": "ask"}, "on_interrupt"),
        ({"poll_interval": -1}, "poll_interval"),
        ({"timeout": "1h"}, "timeout"),
    ],
)
def test_a_wrong_argument_is_refused_when_the_dag_is_made(arguments: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        AgentRunOperator(task_id="review", agent="slow", business_id=BUSINESS, **arguments)
