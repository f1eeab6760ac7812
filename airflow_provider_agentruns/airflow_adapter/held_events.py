# SPDX-License-Identifier: Apache-2.0
"""Queues DAGs for asset events that Airflow holds. No public function does."""

from __future__ import annotations

from airflow.models.asset import AssetDagRunQueue, AssetEvent, AssetModel, DagScheduleAssetReference
from airflow.models.dagrun import DagRun
from airflow.models.trigger import Trigger
from airflow.utils.types import DagRunType
from sqlalchemy import func, insert, literal, or_, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import object_session

from airflow_provider_agentruns.airflow_adapter import ASSET_URIS, TRIGGERS


def queue_held_events(dag_run: DagRun) -> None:
    """
    Queue a DAG again if it has asset events of agent runs that no DAG run received.

    Airflow queues a DAG at its first event, and the DAG run receives the events until then. Events that arrive before
    the DAG run is created would wait for the next event (``SchedulerJobRunner._create_dag_runs_asset_triggered``).
    """
    session = object_session(dag_run)
    if session is None or dag_run.run_type != DagRunType.ASSET_TRIGGERED:
        return
    is_ours = or_(
        AssetModel.uri.startswith(ASSET_URIS, autoescape=True),
        AssetModel.triggers.any(Trigger.classpath.startswith(TRIGGERS, autoescape=True)),
    )
    received_until = select(func.max(DagRun.run_after)).where(
        DagRun.dag_id == dag_run.dag_id, DagRun.run_type == DagRunType.ASSET_TRIGGERED
    )
    # The next DAG run receives the events until the time of the queue's entry.
    held = (
        select(AssetEvent.asset_id, literal(dag_run.dag_id), func.max(AssetEvent.timestamp))
        .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        .join(DagScheduleAssetReference, DagScheduleAssetReference.asset_id == AssetEvent.asset_id)
        .where(
            DagScheduleAssetReference.dag_id == dag_run.dag_id,
            AssetEvent.timestamp > received_until.scalar_subquery(),
            is_ours,
        )
        .group_by(AssetEvent.asset_id)
    )
    # A new event may queue the DAG at the same moment. A failed statement would end the scheduler's transaction.
    columns = ["asset_id", "target_dag_id", "created_at"]
    if session.get_bind().dialect.name == "postgresql":
        session.execute(postgresql.insert(AssetDagRunQueue).from_select(columns, held).on_conflict_do_nothing())
    else:
        ignore = (
            insert(AssetDagRunQueue).prefix_with("IGNORE", dialect="mysql").prefix_with("OR IGNORE", dialect="sqlite")
        )
        session.execute(ignore.from_select(columns, held))
