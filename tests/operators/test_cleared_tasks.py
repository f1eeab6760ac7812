# SPDX-License-Identifier: Apache-2.0
"""A person clears a DAG run, and Airflow's own code discards what the task had stored, or keeps it."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.utils.session import create_session
from sqlalchemy import delete, select

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.idempotency import listing_search
from tests.support import BUSINESS
from tests.support.airflow_names import dag_bag
from tests.support.airflow_versions import needs_state_store
from tests.support.dag_runs import DagRunner


def clear_and_run(run_dag: DagRunner, dag_id: str, *, deletes_state: bool) -> dict[str, Any]:
    """Clear the only task of a DAG run, let it run again, and return its XCom value."""
    from airflow.models.task_state_store import TaskStateStoreModel
    from airflow.sdk.definitions.dag import _run_task

    dag = dag_bag(run_dag.path, run_dag.path.parent).dags[dag_id]
    with create_session() as session:
        dag_run = session.scalars(select(DagRun).where(DagRun.dag_id == dag_id)).one()
        [ti] = dag_run.get_task_instances(session=session)
        if deletes_state:
            session.execute(delete(TaskStateStoreModel).where(TaskStateStoreModel.dag_id == dag_id))
        clear_task_instances([ti], session=session)
        dag_run.start_date = dag_run.queued_at
        ti.try_number += 1
    with create_session() as session:
        ti = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == dag_id)).one()
    _run_task(ti=ti, task=dag.task_dict["review"], run_triggerer=True)
    with create_session() as session:
        ti = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == dag_id)).one()
        value: dict[str, Any] = ti.xcom_pull(task_ids="review", session=session)
        return value


@needs_state_store
@pytest.mark.parametrize("how", ["kept", "deleted", "clear_on_success"])
def test_a_cleared_task_uses_its_run_while_that_is_active(
    run_dag: DagRunner, agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(listing_search, "_LISTING_LAG", 0.2)
    monkeypatch.setattr(listing_search, "READ_INTERVAL", 0.05)
    # The clock of the service is exact, and a margin would hide where the search begins.
    monkeypatch.setattr(listing_search, "_CLOCK_MARGIN", 1.0)
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", str(how == "clear_on_success"))
    result = run_dag(
        f'AgentRunOperator(task_id="review", agent="needs_approval", business_id="{BUSINESS}", wait_for=())'
    )
    run_ids = [result.xcom("review")["run_id"]]
    service = agent_runs_emulator.service
    for number in range(3):
        if number == 1:
            service.answer(run_ids[0], service.get_run(run_ids[0]).interrupts[0]["id"], {"decision": "approve"})
            while service.get_run(run_ids[0]).status != "completed":
                pass
        run_ids.append(clear_and_run(run_dag, result.dag_id, deletes_state=how == "deleted")["run_id"])
    assert run_ids[0] == run_ids[1] != run_ids[2] == run_ids[3]
    assert len(service.runs) == 2
