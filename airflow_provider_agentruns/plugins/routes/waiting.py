# SPDX-License-Identifier: Apache-2.0
"""All runs that this Airflow waits for, as JSON for their page."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Depends

from airflow_provider_agentruns.airflow_adapter import task_instances
from airflow_provider_agentruns.airflow_adapter.task_instances import AgentTask
from airflow_provider_agentruns.exceptions import AgentRunsError
from airflow_provider_agentruns.plugins.access import READS_TASKS, Pool, ReadableDags
from airflow_provider_agentruns.plugins.routes.task import describe, serialize_task
from airflow_provider_agentruns.plugins.serializers import line
from airflow_provider_agentruns.plugins.status_cache import Known

#: How many tasks are shown.
MOST = 500

#: After how many seconds a page asks again.
ASK_AGAIN_AFTER = 5.0

router = APIRouter()


@dataclass(frozen=True)
class _Facts:
    """What Airflow knows: tasks, how many there are in all, and of which DAGs."""

    tasks: list[AgentTask]
    total: int
    dag_ids: list[str]


# Not async: the database is asked in a thread.
def _facts(session: SessionDep, dag_ids: ReadableDags, dag_id: str | None = None) -> _Facts:
    chosen = {dag_id} & dag_ids if dag_id else dag_ids
    found, total = task_instances.waiting(session, chosen, MOST)
    return _Facts(found, total, task_instances.dags_with_waiting(session, dag_ids))


@router.get("/api/waiting", dependencies=READS_TASKS)
async def waiting(facts: Annotated[_Facts, Depends(_facts)], readings: Pool) -> dict[str, Any]:
    """Return the tasks that wait; first those that wait for a person, each of them the longest first."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for task in facts.tasks:
        if task.conn_id and task.run_id:
            wanted[task.conn_id].add(task.run_id)
    looks = await asyncio.gather(*(readings.overview(conn_id).known(runs) for conn_id, runs in wanted.items()))
    known = {conn_id: runs for conn_id, (runs, _) in zip(wanted, looks, strict=True)}
    errors: list[AgentRunsError] = [error for _, error in looks if error]
    rows = [_row(task, known.get(task.conn_id or "", {}).get(task.run_id or "")) for task in facts.tasks]
    rows.sort(key=lambda row: (not row["for_person"], row["since"] or ""))
    return {
        "now": datetime.now(UTC).isoformat(),
        "rows": rows,
        "total": facts.total,
        "dag_ids": facts.dag_ids,
        "errors": [describe(error) for error in errors],
        "ask_again_after": ASK_AGAIN_AFTER,
    }


def _row(task: AgentTask, known: Known | None) -> dict[str, Any]:
    return {
        **serialize_task(task),
        "agent": line(known and known.agent) or line(task.agent),
        "status": line(known and (known.status or "not found")),
        "question": line(task.form and task.form.subject),
        "has_form": task.form is not None,
        "for_person": task.form is not None or (known is not None and known.status == "interrupted"),
    }
