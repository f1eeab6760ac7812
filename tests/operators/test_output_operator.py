# SPDX-License-Identifier: Apache-2.0
"""``AgentRunOutputOperator``: the output in XCom or in object storage, and the reasons not to return one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.script_steps import Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import (
    AgentRunSerializationError,
    AgentRunsError,
    AgentRunsValueError,
    AgentRunTimeoutError,
)
from airflow_provider_agentruns.models import AgentRun
from airflow_provider_agentruns.operators.agent_run import AgentRunOutputOperator
from airflow_provider_agentruns.outputs import load_output, xcom_value
from tests.support import BUSINESS
from tests.support.dag_runs import DagRunner
from tests.support.run_task import TaskRun, run_task

#: Fields that no model knows, in every shape that JSON has.
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
    {"title": "Large", "type": "raw", "text": "0123456789" * 100_000},
    {"type": "cip_summary", "summary": ["not", "a", "string"], "title": 7},
]


def odd(case: Case) -> ScriptBody:
    yield Work(0.01, "think", "Thinks")
    return [dict(artifact) for artifact in ODD_ARTIFACTS]


def too_large(case: Case) -> ScriptBody:
    yield Work(0.1, "think", "Thinks")
    return [{"title": "Large", "__type": "x", "__var": 1, "large": 2**70, "text": "é\u2028"}]


def output_of(run_id: str, **arguments: Any) -> TaskRun:
    return run_task(lambda: AgentRunOutputOperator(task_id="output", run_id=run_id, poll_interval=0.05, **arguments))


def sent(emulator: Emulator, run_id: str) -> Any:
    headers = {"Authorization": f"Bearer {emulator.token}"}
    return json.loads(httpx.get(f"{emulator.url}/v1/runs/{run_id}", headers=headers).content)["output"]


@pytest.mark.agent_runs(agents={"odd": odd})
def test_the_output_of_another_task_reaches_xcom_unchanged(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    result = run_dag(f"""
start = AgentRunOperator(task_id="start", agent="odd", business_id="{BUSINESS}", wait_for=())
for name, deferrable in (("deferred", True), ("held", False)):
    AgentRunOutputOperator(task_id=name, run_id=start.output["run_id"], deferrable=deferrable, poll_interval=0.1)
AgentRunOutputOperator(task_id="none", run_id=start.output["run_id"], artifact_type="{{{{ 'no_such' }}}}")
""")
    expected = json.dumps(sent(agent_runs_emulator, result.xcom("start", "run_id")))
    # Not even the order of the fields changes.
    assert {json.dumps(result.xcom(name)) for name in ("deferred", "held")} == {expected}
    assert ODD_ARTIFACTS[1]["text"] in expected
    assert result.xcom("none") == {"artifacts": []}


@pytest.mark.agent_runs(agents={"odd": odd})
def test_an_artifact_type_selects(agent_runs_emulator: Emulator) -> None:
    run = agent_runs_emulator.service.create_run("odd", business_id=BUSINESS)
    artifacts = sent(agent_runs_emulator, run.id)["artifacts"]
    assert output_of(run.id, artifact_type="cip_summary").value == {"artifacts": [artifacts[0], artifacts[2]]}


@pytest.mark.agent_runs(speed=0.01)
def test_without_wait_a_run_that_has_not_completed_fails_the_task(agent_runs_emulator: Emulator) -> None:
    run = agent_runs_emulator.service.create_run("cip_orchestrator", business_id=BUSINESS)
    task = output_of(run.id, wait=False)
    assert isinstance(task.error, AgentRunTimeoutError)
    assert "is running, and this task has wait=False" in str(task.error)


class TestObjectStorage:
    @pytest.mark.agent_runs(agents={"too_large": too_large})
    def test_it_holds_outputs_that_xcom_cannot(
        self, run_dag: DagRunner, agent_runs_emulator: Emulator, tmp_path: Path
    ) -> None:
        run = agent_runs_emulator.service.create_run("too_large", business_id=BUSINESS)
        assert isinstance(output_of(run.id).error, AgentRunSerializationError)
        result = run_dag(f"""
from airflow_provider_agentruns.outputs import load_output

path = dict(output_path="file://{tmp_path}/{{{{ dag.dag_id }}}}", poll_interval=0.1)

@task
def titles(value):
    return [artifact["title"] for artifact in load_output(value)["artifacts"]]

for value in (
    AgentRunOperator(task_id="start", agent="too_large", business_id="{BUSINESS}", deferrable=True, **path).output,
    AgentRunOutputOperator(task_id="output", run_id="{run.id}", **path).output,
):
    titles.override(task_id=f"titles_of_{{value.operator.task_id}}")(value)
""")
        for name in ("start", "output"):
            reference = result.xcom(name)
            held = agent_runs_emulator.service.runs[reference["run_id"]].output
            path = tmp_path / result.dag_id / f"{reference['run_id']}.json"
            assert json.loads(path.read_bytes()) == held == load_output(reference)
            assert reference["output_path"] == f"file://{path}"
            assert (reference["artifacts"], reference["size"]) == (1, path.stat().st_size)
            assert result.xcom(f"titles_of_{name}") == ["Large"]

    @pytest.mark.agent_runs(agents={"odd": odd})
    def test_only_a_retry_overwrites_a_file(self, agent_runs_emulator: Emulator, tmp_path: Path) -> None:
        run = agent_runs_emulator.service.create_run("odd", business_id=BUSINESS)
        types = (None, "raw", "cip_summary", "raw")
        references = [output_of(run.id, artifact_type=it, output_path=f"file://{tmp_path}").value for it in types]
        assert [len(load_output(reference)["artifacts"]) for reference in references] == [3, 1, 2, 1]
        assert references[1] == references[3]
        names = {f"{run.id}.json", f"{run.id}.raw.json", f"{run.id}.cip_summary.json"}
        assert {path.name for path in tmp_path.iterdir()} == names

    @pytest.mark.parametrize("run_id", ["../../etc/passwd", "a/b", "..", "x" * 300, "x" * 300 + "/", "\ud800"])
    def test_an_id_does_not_lead_out_of_the_folder(self, tmp_path: Path, run_id: str) -> None:
        run = AgentRun.model_validate({"id": run_id, "status": "completed"})
        reference = xcom_value(run, f"file://{tmp_path}/deep")
        [path] = (tmp_path / "deep").iterdir()
        assert reference["output_path"] == f"file://{path}"
        assert load_output(reference) == {"artifacts": []}

    def test_a_changed_file_is_rejected(self, tmp_path: Path) -> None:
        run = AgentRun.model_validate({"id": "r-1", "status": "completed"})
        reference = xcom_value(run, f"file://{tmp_path}")
        (tmp_path / "r-1.json").write_text('{"artifacts": [{"title": "Approved"}]}')
        with pytest.raises(AgentRunsError, match="has changed since the output of agent run r-1"):
            load_output(reference)

    @pytest.mark.parametrize(
        "envelope",
        [
            {"artifacts": [1]},
            # An agent cannot write a reference.
            {"artifacts": [], "output_path": "file:///etc/passwd", "run_id": "r", "size": 1, "sha256": "0"},
        ],
    )
    def test_an_envelope_is_returned_as_it_is(self, envelope: dict[str, Any]) -> None:
        assert load_output(envelope) == envelope

    @pytest.mark.parametrize("value", [None, "r-1", {"status": "completed"}, []])
    def test_other_values_are_rejected(self, value: Any) -> None:
        with pytest.raises(AgentRunsValueError, match="load_output takes the XCom value"):
            load_output(value)
