# SPDX-License-Identifier: Apache-2.0
"""Outputs that go to object storage, with a reference in XCom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_agentruns.emulator.scripts import Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import AgentRunsError, AgentRunsValueError
from airflow_provider_agentruns.operators.agent_run import AgentRunOutputOperator
from airflow_provider_agentruns.outputs import load_output, store_output
from tests.support.dag_runs import DagRunner

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"


def unfit(case: Case) -> ScriptBody:
    """Finds what XCom cannot carry."""
    yield Work(0.1, "think", "Thinks")
    return [{"title": "Unfit", "__type": "x", "__var": 1, "large": 2**70, "text": "é\u2028"}]


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    "task",
    [
        'AgentRunOperator(task_id="it", agent="unfit", business_id="{business}", {more})',
        'AgentRunOutputOperator(task_id="it", run_id="{run}", {more})',
    ],
)
@pytest.mark.agent_runs(agents={"unfit": unfit})
def test_the_next_task_reads_by_the_reference_what_xcom_could_not_carry(
    run_dag: DagRunner, agent_runs_emulator: Emulator, tmp_path: Path, task: str, deferrable: bool
) -> None:
    run = agent_runs_emulator.service.create_run("unfit", business_id=BUSINESS)
    more = f'output_path="file://{tmp_path}/{{{{{{{{ dag.dag_id }}}}}}}}", poll_interval=0.1, deferrable={deferrable}'
    made = task.format(business=BUSINESS, run=run.id, more=more.replace("{{{{", "{{").replace("}}}}", "}}"))
    result = run_dag(f"""
it = {made}

@task
def titles(value):
    from airflow_provider_agentruns.outputs import load_output
    return [artifact["title"] for artifact in load_output(value)["artifacts"]]

titles(it.output)
""")
    assert result.state == "success"
    reference = result.xcom("it")
    held = agent_runs_emulator.service.runs[reference["run_id"]].output
    path = tmp_path / result.dag_id / f"{reference['run_id']}.json"
    assert json.loads(path.read_bytes()) == held
    assert reference["output_path"] == f"file://{path}"
    assert (reference["artifacts"], reference["size"]) == (1, path.stat().st_size)
    assert load_output(reference) == held
    assert result.xcom("titles") == ["Unfit"]


def test_another_try_writes_the_same_file(tmp_path: Path) -> None:
    first, second = (store_output({"artifacts": []}, "r-1", f"file://{tmp_path}") for _ in range(2))
    assert first == second
    assert [path.name for path in tmp_path.iterdir()] == ["r-1.json"]


@pytest.mark.parametrize("run_id", ["../../etc/passwd", "a/b", "..", "x" * 300 + "/"])
def test_a_runs_id_leads_nowhere_else(tmp_path: Path, run_id: str) -> None:
    reference = store_output({"artifacts": []}, run_id, f"file://{tmp_path}/deep")
    [path] = (tmp_path / "deep").iterdir()
    assert reference["output_path"] == f"file://{path}"
    assert load_output(reference) == {"artifacts": []}


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    reference = store_output({"artifacts": []}, "r-1", f"file://{tmp_path}")
    (tmp_path / "r-1.json").write_text('{"artifacts": [{"title": "Approved"}]}')
    with pytest.raises(AgentRunsError, match="has changed since the output of agent run r-1"):
        load_output(reference)


def test_an_envelope_is_its_own_output() -> None:
    assert load_output({"artifacts": [1]}) == {"artifacts": [1]}


def test_what_an_agent_writes_into_its_output_is_no_reference() -> None:
    envelope = {"artifacts": [], "output_path": "file:///etc/passwd", "run_id": "r", "size": 1, "sha256": "0"}
    assert load_output(envelope) == envelope


@pytest.mark.parametrize("value", [None, "r-1", {"status": "completed"}, []])
def test_what_is_no_output_is_refused(value: Any) -> None:
    with pytest.raises(AgentRunsValueError, match="load_output takes the XCom value"):
        load_output(value)


def test_a_place_that_can_be_none_is_refused_with_the_dag() -> None:
    with pytest.raises(AgentRunsValueError, match=r"output_path should be a URL such as .*, not '/data'"):
        AgentRunOutputOperator(task_id="it", run_id="r-1", output_path="/data")
