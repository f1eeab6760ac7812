# SPDX-License-Identifier: Apache-2.0
"""One task instance's run, as JSON for its page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Depends, HTTPException

from airflow_provider_agentruns.airflow_adapter import task_instances
from airflow_provider_agentruns.airflow_adapter.task_instances import AgentTask, Form
from airflow_provider_agentruns.exceptions import AgentRunsError
from airflow_provider_agentruns.plugins.access import READS_TASKS, Pool
from airflow_provider_agentruns.plugins.single_flight_cache import CachedValue
from airflow_provider_agentruns.plugins.trails import trails

#: After how many seconds a page asks again: while something may change, and where only the run could not be read.
ASK_AGAIN_AFTER, ASK_AGAIN_AFTER_ERROR = 3.0, 15.0

# As the database has it.
_LONGEST_INDEX = 10

router = APIRouter()


@dataclass(frozen=True)
class _Facts:
    """What Airflow knows."""

    task: AgentTask
    forms: list[tuple[AgentTask, Form]]
    trail: list[dict[str, Any]]


# Not async: the database is asked in a thread.
def _facts(dag_id: str, run_id: str, task_id: str, session: SessionDep, map_index: str = "-1") -> _Facts:
    # Where a task is not mapped, Airflow's page leaves the placeholder as it is.
    index = int(map_index) if map_index.isdecimal() and len(map_index) < _LONGEST_INDEX else -1
    task = task_instances.find(session, dag_id, run_id, task_id, index)
    if task is None:
        raise HTTPException(404, "There is no such task instance")
    if not task.run_id:
        return _Facts(task, [], [])
    return _Facts(
        task, task_instances.open_forms(session, dag_id, run_id), trails(session, dag_id, run_id, task.run_id)
    )


# The DAG is in the path: there, Airflow's check of rights and the look into the database mean the same one.
@router.get("/api/dags/{dag_id}/task", dependencies=READS_TASKS)
async def task_instance(facts: Annotated[_Facts, Depends(_facts)], readings: Pool) -> dict[str, Any]:
    """Return a task instance, its run with all steps, who may answer what where, and what was answered."""
    task = facts.task
    seen = CachedValue[dict[str, Any]](None, None, None)
    problem = None
    if task.run_id and task.conn_id:
        seen = await readings.over(task.conn_id).run(task.run_id)
        problem = describe(seen.error) if seen.error else None
    elif task.run_id:
        problem = {
            "message": "Airflow does not know any more over which connection this task reads its run: "
            "the rendered fields of old DAG runs are removed",
            "may_pass": False,
        }
    run = seen.value["run"] if seen.value else None
    return {
        "now": datetime.now(UTC).isoformat(),
        "task": serialize_task(task),
        "run": run,
        "run_page": seen.value["page"] if seen.value else None,
        "age": seen.age,
        "error": problem,
        "questions": _questions(run, facts.forms),
        "trail": facts.trail,
        "ask_again_after": _ask_again_after(task, run, problem),
    }


def _ask_again_after(task: AgentTask, run: dict[str, Any] | None, problem: dict[str, Any] | None) -> float | None:
    if not task.settled or (run is not None and not run["finished"]):
        return ASK_AGAIN_AFTER
    return ASK_AGAIN_AFTER_ERROR if problem and problem["may_pass"] else None


def serialize_task(task: AgentTask) -> dict[str, Any]:
    """Return what pages show of a task instance."""
    return {
        "dag_id": task.dag_id,
        "dag_run_id": task.dag_run_id,
        "task_id": task.task_id,
        "map_index": task.map_index,
        "operator": task.operator,
        "state": task.state,
        "try_number": task.try_number,
        "started_at": task.started_at and task.started_at.isoformat(),
        "since": task.since and task.since.isoformat(),
        "run_id": task.run_id,
        "is_agent_task": task.is_agent_task,
    }


def describe(error: AgentRunsError) -> dict[str, Any]:
    """Return what a page says of an error; its message never holds the token."""
    return {"message": str(error), "may_pass": error.retryable}


def _questions(run: dict[str, Any] | None, forms: list[tuple[AgentTask, Form]]) -> list[dict[str, Any]]:
    """Return what waits for a person: what the run asks, or, where it cannot be read, what forms say that it asks."""
    places = {form.interrupt_id: _place(task, form) for task, form in forms}
    if run is None:
        return [
            {"id": form.interrupt_id, "agent": None, "label": form.subject, "form": places[form.interrupt_id]}
            for _, form in forms
        ]
    return [{**interrupt, "form": places.get(interrupt["id"])} for interrupt in run["interrupts"]]


def _place(task: AgentTask, form: Form) -> dict[str, Any]:
    return {
        "dag_id": task.dag_id,
        "dag_run_id": task.dag_run_id,
        "task_id": task.task_id,
        "map_index": task.map_index,
        "shown_at": form.shown_at and form.shown_at.isoformat(),
    }
