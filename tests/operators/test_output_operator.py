# SPDX-License-Identifier: Apache-2.0
"""Getting the output of a run that is there already."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.scripts import Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.dag_runs import DagRunner

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"

#: What no model knows, in every shape that JSON has.
ODD_ARTIFACTS: list[dict[str, Any]] = [
    {
        "zeta": None,
        "title": "Große Änderung \u2028 \u0000 \U0001f9fe",
        "type": "cip_summary",
        "confidence": None,
        "sources": None,
        "numbers": [0, -1, 1.5, 1e300, 12345678901234567890, 0.1],
        "nested": {"b": [[], {}, [{"deep": True}]], "a": {"__var": "x", "": ""}},
        "alpha": False,
    },
    {"title": "Large", "type": "raw", "text": "0123456789" * 300_000},
    {"type": "cip_summary", "summary": ["not", "a", "string"], "title": 7},
]


def odd(case: Case) -> ScriptBody:
    """Gives artifacts that nobody knows the shape of."""
    yield Work(0.01, "think", "Thinks")
    return [dict(artifact) for artifact in ODD_ARTIFACTS]


def raw_output(emulator: Emulator, run_id: str) -> Any:
    """Return the output as it comes over the wire."""
    headers = {"Authorization": f"Bearer {emulator.token}"}
    return json.loads(httpx.get(f"{emulator.url}/v1/runs/{run_id}", headers=headers).content)["output"]


@pytest.mark.agent_runs(agents={"odd": odd})
def test_large_and_unknown_fields_reach_xcom_unchanged_and_in_order(
    run_dag: DagRunner, agent_runs_emulator: Emulator
) -> None:
    run = agent_runs_emulator.service.create_run("odd", business_id=BUSINESS)
    result = run_dag(f'AgentRunOutputOperator(task_id="output", run_id="{run.id}", deferrable=True, poll_interval=0.1)')
    assert result.state == "success"
    sent = raw_output(agent_runs_emulator, run.id)
    assert json.dumps(result.xcom("output")) == json.dumps(sent)
    assert [artifact.get("text") for artifact in sent["artifacts"]][1] == ODD_ARTIFACTS[1]["text"]


@pytest.mark.agent_runs(agents={"odd": odd})
def test_an_artifact_type_selects(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    run = agent_runs_emulator.service.create_run("odd", business_id=BUSINESS)
    result = run_dag(f"""
AgentRunOutputOperator(task_id="some", run_id="{run.id}", artifact_type="cip_summary", poll_interval=0.1)
AgentRunOutputOperator(task_id="none", run_id="{run.id}", artifact_type="{{{{ 'no_such' }}}}", poll_interval=0.1)
""")
    artifacts = raw_output(agent_runs_emulator, run.id)["artifacts"]
    assert result.xcom("some") == {"artifacts": [artifacts[0], artifacts[2]]}
    assert result.xcom("none") == {"artifacts": []}
    assert "has no artifact of type no_such" in result.log


def test_a_run_of_another_task_is_waited_for(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    result = run_dag(f"""
start = AgentRunOperator(task_id="start", agent="slow", business_id="{BUSINESS}", wait_for=())
AgentRunOutputOperator(task_id="output", run_id=start.output["run_id"], deferrable=True, poll_interval=0.1)
""")
    assert result.state == "success"
    assert result.xcom("output") == raw_output(agent_runs_emulator, result.xcom("start", "run_id"))


@pytest.mark.agent_runs(speed=0.01)
def test_a_run_that_is_not_completed_fails_the_task_at_once_when_it_is_not_to_wait(
    run_dag: DagRunner, agent_runs_emulator: Emulator
) -> None:
    run = agent_runs_emulator.service.create_run("cip_orchestrator", business_id=BUSINESS)
    result = run_dag(f'AgentRunOutputOperator(task_id="output", run_id="{run.id}", wait=False)')
    assert result.states == {"output": "failed"}
    assert "AgentRunTimeoutError" in result.log
    assert "this task has wait=False" in result.log


def test_a_question_fails_the_task_where_an_output_is_wanted(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    run = agent_runs_emulator.service.create_run("needs_approval", business_id=BUSINESS)
    result = run_dag(f'AgentRunOutputOperator(task_id="output", run_id="{run.id}", poll_interval=0.05)')
    assert result.states == {"output": "failed"}
    assert "AgentRunInterruptedError" in result.log


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        (None, "no connection 'agentruns_default'. Add one"),
        ("agentruns://127.0.0.1:1/http", "API token (password) is missing"),
        ("agentruns://:t0ken@example.com/http", "the token would travel in clear"),
    ],
)
def test_a_connection_that_cannot_work_says_what_to_do(
    run_dag: DagRunner, monkeypatch: pytest.MonkeyPatch, connection: str | None, says: str
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", raising=False)
    if connection:
        monkeypatch.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", connection)
    result = run_dag('AgentRunOutputOperator(task_id="output", run_id="some-run")')
    assert result.states == {"output": "failed"}
    assert "AgentRunsConfigError" in result.log
    assert says in result.log
    assert "During handling of the above exception" not in result.log
    assert "direct cause" not in result.log
    assert "t0ken" not in result.log


def test_a_wrong_run_id_says_so_and_uses_up_no_retries(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    result = run_dag('AgentRunOutputOperator(task_id="output", run_id="no-such-run", retries=2)')
    assert result.states == {"output": "failed"}
    assert result.tries == {"output": 1}
    assert "AgentRunNotFoundError" in result.log
    assert agent_runs_emulator.count("GET", "/v1/runs/no-such-run") == 1
