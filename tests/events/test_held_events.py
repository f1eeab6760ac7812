# SPDX-License-Identifier: Apache-2.0
"""Airflow's scheduler gives each event to a DAG run, also those that arrive while the DAG is queued."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.asset import AssetDagRunQueue, AssetEvent, AssetModel
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.trigger import Trigger
from airflow.sdk import DAG, Asset, AssetWatcher
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow.triggers.base import TriggerEvent
from airflow.utils.session import create_session
from airflow.utils.sqlalchemy import prohibit_commit
from airflow.utils.state import DagRunState
from sqlalchemy import delete, select, update

from airflow_provider_agentruns.triggers.agent_run import AgentRunEventTrigger
from tests.support.airflow_names import DagSerialization, SerializedDAG

DAG_ID = "started_by_runs"


@pytest.fixture(autouse=True)
def dag(database: str) -> Iterator[None]:
    """Store a DAG that runs one at a time, and is scheduled by a watcher."""
    asset = Asset("runs_for_dag", watchers=[AssetWatcher(name="w", trigger=AgentRunEventTrigger(agent="held"))])
    with DAG(DAG_ID, schedule=[asset], start_date=datetime(2026, 1, 1), max_active_runs=1) as dag:
        pass
    lazy = LazyDeserializedDAG(data=DagSerialization.to_dict(dag))
    with create_session() as session:
        session.merge(DagBundleModel(name="held"))
        session.flush()
        SerializedDAG.bulk_write_to_db("held", None, [lazy], session=session)
        SerializedDagModel.write_dag(lazy, bundle_name="held", session=session)
        session.execute(update(DagModel).where(DagModel.dag_id == DAG_ID).values(is_paused=False))
        session.expire_all()
        # Only DAGs that are not paused have triggers for their watchers.
        SerializedDAG.bulk_write_to_db("held", None, [lazy], session=session)
    yield
    with create_session() as session:
        for model in (AssetEvent, AssetDagRunQueue, DagRun):
            session.execute(delete(model))
        session.execute(delete(DagModel).where(DagModel.dag_id == DAG_ID))
        session.execute(delete(AssetModel).where(AssetModel.name == "runs_for_dag"))


def report(*run_ids: str) -> None:
    for run_id in run_ids:
        with create_session() as session:
            trigger_id = session.scalars(select(Trigger.id).where(Trigger.classpath.endswith("EventTrigger"))).one()
            Trigger.submit_event(trigger_id, TriggerEvent({"run_id": run_id}), session=session)


def schedule(*, end: bool = True) -> list[list[str]]:
    """Let the scheduler create and start DAG runs, and end them. Return the events that each has received."""
    runner = SchedulerJobRunner(job=Job())
    queued = select(DagRun).where(DagRun.dag_id == DAG_ID, DagRun.state == "queued")
    with create_session() as session:
        with prohibit_commit(session) as guard:
            runner._create_dagruns_for_dags(guard, session)
            # On SQLite, Airflow starts no DAG run in the second in which it was created.
            while session.scalars(queued).all():
                runner._start_queued_dagruns(session)
                guard.commit()
                time.sleep(0.05)
        if end:
            for run in session.scalars(select(DagRun).where(DagRun.dag_id == DAG_ID, DagRun.state == "running")):
                run.set_state(DagRunState.SUCCESS)
                run.notify_dagrun_state_changed(msg="success")
    with create_session() as session:
        runs = session.scalars(select(DagRun).where(DagRun.dag_id == DAG_ID).order_by(DagRun.run_after)).all()
        return [[event.extra["payload"]["run_id"] for event in run.consumed_asset_events] for run in runs]


def test_events_that_arrive_while_the_dag_is_queued_start_another_dag_run() -> None:
    report("1", "2", "3")
    assert schedule() == [["1"]]
    assert schedule() == [["1"], ["2", "3"]]
    # None is left, and none is empty.
    assert schedule() == [["1"], ["2", "3"]]
    report("4")
    assert schedule() == [["1"], ["2", "3"], ["4"]]


def test_events_that_arrive_while_the_dag_runs_start_another_dag_run() -> None:
    report("1")
    assert schedule(end=False) == [["1"]]
    report("2", "3")
    assert schedule() == [["1"]]
    report("4")
    assert schedule() == [["1"], ["2"]]
    assert schedule() == schedule() == [["1"], ["2"], ["3", "4"]]
