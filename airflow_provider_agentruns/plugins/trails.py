# SPDX-License-Identifier: Apache-2.0
"""The answers that people gave to a run, as the reviews of a DAG run have put them into XCom."""

from __future__ import annotations

from typing import Any

from airflow.models.xcom import XComModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_agentruns.airflow_adapter.task_instances import xcom_value
from airflow_provider_agentruns.plugins.serializers import as_json, line
from airflow_provider_agentruns.reviews.trail import TRAIL

#: How many answers are shown.
_MOST = 100


def trails(session: Session, dag_id: str, dag_run_id: str, run_id: str) -> list[dict[str, Any]]:
    """Return what is to be shown of all answers to a run, the earliest first."""
    query = (
        select(XComModel.task_id, XComModel.map_index, XComModel.value)
        .where(XComModel.dag_id == dag_id, XComModel.run_id == dag_run_id, XComModel.key == TRAIL)
        .order_by(XComModel.timestamp)
        .limit(_MOST)
    )
    return [
        shown
        for row in session.execute(query)
        if (shown := _shown(row.task_id, row.map_index, xcom_value(row.value), run_id)) is not None
    ]


def _shown(task_id: str, map_index: int, trail: Any, run_id: str) -> dict[str, Any] | None:
    # Any task may push a key of this name.
    if not isinstance(trail, dict) or trail.get("run_id") != run_id:
        return None
    by = trail.get("responded_by")
    who = (by.get("name") or by.get("id")) if isinstance(by, dict) else None
    chosen = trail.get("chosen_options")
    return {
        "task_id": task_id,
        "map_index": map_index,
        "interrupt_id": line(trail.get("interrupt_id")),
        "label": line(trail.get("label")),
        "by": line(trail.get("by")),
        "who": line(who),
        "at": line(trail.get("responded_at")),
        "chosen": [line(option) for option in chosen] if isinstance(chosen, list) else [],
        "delivery": line(trail.get("delivery")),
        "status": line(trail.get("status")),
        "sent": as_json(trail.get("sent")),
    }
