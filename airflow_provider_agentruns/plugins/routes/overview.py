# SPDX-License-Identifier: Apache-2.0
"""The overview page (Browse, Agent runs) as JSON: the runs of the tasks that ``agent_tasks.active`` selects."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends

from airflow_provider_agentruns.airflow_adapter import agent_tasks
from airflow_provider_agentruns.airflow_adapter.agent_tasks import AgentTask
from airflow_provider_agentruns.client.responses import ListedRun
from airflow_provider_agentruns.models import RunStatus
from airflow_provider_agentruns.plugins.page_client import client_of
from airflow_provider_agentruns.plugins.routes.task import serialize_error, serialize_task
from airflow_provider_agentruns.plugins.serializers import as_line, as_time

MAX_TASKS = 500
#: Seconds until the page requests data again.
REFRESH_AFTER = 5.0

router = APIRouter()


# Not async: FastAPI calls it in a thread, where it may wait for the database.
def _read(session: SessionDep, user: GetUserDep, dag_id: str | None = None) -> tuple[list[AgentTask], dict[str, int]]:
    dag_ids = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
    counts = agent_tasks.count_active_by_dag(session, dag_ids)
    selected = counts.keys() & {dag_id} if dag_id else counts.keys()
    return agent_tasks.active(session, selected, MAX_TASKS), counts


@router.get("/api/waiting")
async def overview(
    data: Annotated[tuple[list[AgentTask], dict[str, int]], Depends(_read)], dag_id: str | None = None
) -> dict[str, Any]:
    """Return the tasks: first those that need a person, and within both groups the oldest first."""
    tasks, counts = data
    wanted: dict[str, set[str]] = defaultdict(set)
    for task in tasks:
        if task.conn_id and task.run_id:
            wanted[task.conn_id].add(task.run_id)
    answers = await asyncio.gather(*(client_of(conn_id).statuses(run_ids) for conn_id, run_ids in wanted.items()))
    reads = dict(zip(wanted, answers, strict=True))
    known = {conn_id: runs for conn_id, (runs, _) in reads.items()}
    rows = [_row(task, known.get(task.conn_id or "", {}).get(task.run_id or "")) for task in tasks]
    rows.sort(key=lambda row: (not row["needs_person"], row["since"] or ""))
    return {
        "now": datetime.now(UTC).isoformat(),
        "rows": rows,
        "total": counts.get(dag_id, 0) if dag_id else sum(counts.values()),
        "dag_ids": sorted(counts),
        "errors": [{**serialize_error(e), "connection": conn_id} for conn_id, (_, e) in reads.items() if e],
        "refresh_after": REFRESH_AFTER,
    }


def _row(task: AgentTask, run: ListedRun | None) -> dict[str, Any]:
    agent, status = (run.get("agent"), run["status"]) if run else (None, None)
    if run and not task.may_show(agent, as_time(run.get("created_at"))):
        agent = status = None
    return {
        **serialize_task(task),
        "agent": as_line(agent) or task.agent,
        "status": as_line(status),
        "question": as_line(task.form and task.form.subject),
        "has_form": task.form is not None,
        "needs_person": task.form is not None or status == RunStatus.INTERRUPTED,
    }
