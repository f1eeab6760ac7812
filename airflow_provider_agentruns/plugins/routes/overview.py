# SPDX-License-Identifier: Apache-2.0
"""All runs that tasks are waiting for, as JSON for the overview page."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Depends

from airflow_provider_agentruns.airflow_adapter import agent_tasks
from airflow_provider_agentruns.airflow_adapter.agent_tasks import AgentTask
from airflow_provider_agentruns.plugins.access import READS_TASKS, Clients, ReadableDags
from airflow_provider_agentruns.plugins.routes.task import serialize_error, serialize_task
from airflow_provider_agentruns.plugins.serializers import as_line
from airflow_provider_agentruns.plugins.status_cache import RunSnapshot

#: The number of tasks that the page shows.
MAX_TASKS = 500

#: Seconds until the page requests data again.
REFRESH_AFTER = 5.0

router = APIRouter()


# Tasks, the number of all of them, and the DAGs that have such tasks.
_AirflowData = tuple[list[AgentTask], int, list[str]]


# Not async: FastAPI calls it in a thread, where it may wait for the database.
def _read(session: SessionDep, dag_ids: ReadableDags, dag_id: str | None = None) -> _AirflowData:
    selected = {dag_id} & dag_ids if dag_id else dag_ids
    return *agent_tasks.active(session, selected, MAX_TASKS), agent_tasks.dags_with_active(session, dag_ids)


@router.get("/api/waiting", dependencies=READS_TASKS)
async def waiting(data: Annotated[_AirflowData, Depends(_read)], clients: Clients) -> dict[str, Any]:
    """Return the active tasks: first those that need a person, and within both groups the oldest first."""
    tasks, total, active_dag_ids = data
    wanted: dict[str, set[str]] = defaultdict(set)
    for task in tasks:
        if task.conn_id and task.run_id:
            wanted[task.conn_id].add(task.run_id)
    reads = await asyncio.gather(*(clients[conn_id].statuses.get(runs) for conn_id, runs in wanted.items()))
    known = {conn_id: runs for conn_id, (runs, _) in zip(wanted, reads, strict=True)}
    rows = [_row(task, known.get(task.conn_id or "", {}).get(task.run_id or "")) for task in tasks]
    rows.sort(key=lambda row: (not row["needs_person"], row["since"] or ""))
    return {
        "now": datetime.now(UTC).isoformat(),
        "rows": rows,
        "total": total,
        "dag_ids": active_dag_ids,
        "errors": [serialize_error(error) for _, error in reads if error],
        "refresh_after": REFRESH_AFTER,
    }


def _row(task: AgentTask, run: RunSnapshot | None) -> dict[str, Any]:
    if run and not task.may_show(run.agent, run.created_at):
        run = None
    return {
        **serialize_task(task),
        "agent": as_line(run and run.agent) or task.agent,
        "status": as_line(run and (run.status or "not found")),
        "question": as_line(task.form and task.form.subject),
        "has_form": task.form is not None,
        "needs_person": task.form is not None or (run is not None and run.status == "interrupted"),
    }
