# SPDX-License-Identifier: Apache-2.0
"""Airflow's page of a task: its rendered fields, and the names of its mapped instances."""

from __future__ import annotations

from typing import Any

from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.operators.agent_run import (
    AgentRunOperator,
    AgentRunOutputOperator,
    AgentRunReviewOperator,
)
from tests.support import BUSINESS
from tests.support.airflow_versions import needs_state_store
from tests.support.dag_runs import DagResult, DagRunner


def names(result: DagResult, task_id: str) -> list[str]:
    with create_session() as session:
        of_task = (TaskInstance.dag_id == result.dag_id, TaskInstance.task_id == task_id)
        return list(session.scalars(select(TaskInstance.rendered_map_index).where(*of_task).order_by("map_index")))


def rendered(result: DagResult, task_id: str) -> dict[str, Any]:
    with create_session() as session:
        of_task = (
            RenderedTaskInstanceFields.dag_id == result.dag_id,
            RenderedTaskInstanceFields.task_id == task_id,
        )
        return dict(session.scalars(select(RenderedTaskInstanceFields.rendered_fields).where(*of_task)).one())


@needs_state_store  # An operator's own default counts for mapped tasks from the same Airflow on.
def test_mapped_instances_are_named_after_their_runs(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    waited = agent_runs_emulator.service.create_run("instant", business_id=BUSINESS).id
    result = run_dag(f"""
AgentRunOperator.partial(task_id="start", agent="instant", poll_interval=0.1).expand(business_id=["{BUSINESS}"])
AgentRunSensor.partial(task_id="wait", poke_interval=0.1).expand(run_id=["{waited}"])
AgentRunSensor.partial(task_id="own_name", map_index_template="mine {{{{ task.run_id }}}}").expand(run_id=["r-1"])
AgentRunSensor(task_id="not_mapped", poke_interval=0.1, run_id="{waited}")
""")
    [run_id] = agent_runs_emulator.service.runs.keys() - {waited}
    assert names(result, "wait") == [waited]
    assert names(result, "start") == [f"instant · {BUSINESS} · {run_id[:8]}"]
    assert names(result, "own_name") == ["mine r-1"]
    assert names(result, "not_mapped") == [""]


def test_the_rendered_fields_show_the_run(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    result = run_dag(f"""
for name, deferrable in (("deferred", True), ("held", False)):
    AgentRunOperator(
        task_id=name, agent="instant", business_id="{BUSINESS}", poll_interval=0.1, deferrable=deferrable
    )
""")
    for name in ("deferred", "held"):
        shown = rendered(result, name)
        assert shown["run_id"] == result.xcom(name, "run_id")
        assert (shown["agent"], shown["business_id"]) == ("instant", BUSINESS)


def test_a_label_is_short_and_printable() -> None:
    hostile = {"id": "i-1", "value": {"label": "a\x00b\u202eevil\n" + "x" * 300}}
    for task in (
        AgentRunOperator(task_id="start", agent="instant", context_type="business", context_id="c" * 300),
        AgentRunReviewOperator(task_id="review", run_id="r-1", interrupt=hostile),
        AgentRunOutputOperator(task_id="output", run_id="r\x00" * 300),
    ):
        assert len(task.run_label) <= 250
        assert task.run_label.isprintable()
    why = {"id": "i-1", "value": {"label": "Why?"}}
    assert AgentRunReviewOperator(task_id="review", run_id=BUSINESS, interrupt=why).run_label == "Why? · 0b9a1f5e"
