# SPDX-License-Identifier: Apache-2.0
"""One task instance and its run, as JSON for the task page."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Depends, HTTPException

from airflow_provider_agentruns.airflow_adapter import agent_tasks
from airflow_provider_agentruns.airflow_adapter.agent_tasks import AgentTask
from airflow_provider_agentruns.audit.trail import TRAIL
from airflow_provider_agentruns.exceptions import AgentRunsConfigError, AgentRunsError, AgentRunsThrottledError
from airflow_provider_agentruns.plugins.page_client import client_of
from airflow_provider_agentruns.plugins.serializers import as_line, as_text, serialize_trail
from airflow_provider_agentruns.reviews.answer_schema import ID_FIELD

#: Seconds until a page requests data again: while something may change, and if only the run could not be read.
REFRESH_AFTER, REFRESH_AFTER_ERROR = 3.0, 15.0

_NO_CONNECTION = (
    "Airflow no longer stores which connection this task used, because it deletes the rendered fields of old DAG runs. "
    "To keep them longer, increase [core] num_dag_runs_to_retain_rendered_fields"
)
_OTHER_RUN = (
    "The task's XCom value run_id names a run that this task cannot have started: a run of another agent, or one from "
    "before the DAG run. Check who has changed the value"
)

router = APIRouter()


class _AirflowData(NamedTuple):
    task: AgentTask
    forms: list[AgentTask]
    trail: list[dict[str, Any]]


# Not async: FastAPI calls it in a thread, where it may wait for the database.
def _read(dag_id: str, run_id: str, task_id: str, session: SessionDep, map_index: str = "-1") -> _AirflowData:
    # If a task is not mapped, Airflow leaves {MAP_INDEX} in the URL. The database's column holds no larger numbers.
    index = int(map_index) if map_index.isdecimal() and len(map_index) <= 9 else -1
    task = agent_tasks.find(session, dag_id, run_id, task_id, index)
    if task is None:
        raise HTTPException(404, "Task instance not found")
    if not task.run_id:
        return _AirflowData(task, [], [])
    values = agent_tasks.xcom_values(session, dag_id, run_id, TRAIL)
    trail = [answer for value in values if (answer := serialize_trail(*value, task.run_id))]
    forms = agent_tasks.open_forms(session, dag_id, run_id)
    return _AirflowData(task, [form for form in forms if form.same_run_as(task)], trail)


# The DAG is in the path so that Airflow's access check and the database query use the same one.
@router.get("/api/dags/{dag_id}/task")
async def task_instance(data: Annotated[_AirflowData, Depends(_read)]) -> dict[str, Any]:
    """Return a task instance, its run with the steps, where its questions can be answered, and earlier answers."""
    task = data.task
    read, error = await _read_run(task)
    run = read and read["run"]
    return {
        "now": datetime.now(UTC).isoformat(),
        "task": serialize_task(task),
        "run": run,
        "run_page": read and read["page"],
        "age": read and time.monotonic() - read["loaded_at"],
        "error": error and serialize_error(error),
        "questions": _questions(run, data.forms),
        "trail": data.trail,
        "refresh_after": _refresh_after(task, run, error),
    }


def serialize_task(task: AgentTask) -> dict[str, Any]:
    return {
        **_task_key(task),
        "label": as_line(task.label),
        "state": task.state,
        "since": task.since and task.since.isoformat(),
        "run_id": task.run_id,
        "is_agent_task": task.is_agent_task,
    }


def serialize_error(error: AgentRunsError) -> dict[str, Any]:
    """Return what a page shows of an error. Its message never contains the token."""
    throttled = isinstance(error, AgentRunsThrottledError)
    return {"message": "Page rate limit reached; retrying shortly" if throttled else as_text(str(error))}


async def _read_run(task: AgentTask) -> tuple[dict[str, Any] | None, AgentRunsError | None]:
    if not task.run_id:
        return None, None
    if not task.conn_id:
        return None, AgentRunsConfigError(_NO_CONNECTION)
    read, error = await client_of(task.conn_id).run(task.run_id)
    if read and not task.may_show(read["run"]["agent"], read["run"]["created_at"]):
        return None, AgentRunsConfigError(_OTHER_RUN)
    return read, error or (None if read else AgentRunsError("The service has not responded yet"))


def _refresh_after(task: AgentTask, run: dict[str, Any] | None, error: AgentRunsError | None) -> float | None:
    if task.state not in agent_tasks.FINAL_STATES or (run is not None and not run["finished"]):
        return REFRESH_AFTER
    return REFRESH_AFTER_ERROR if error and error.retryable else None


def _questions(run: dict[str, Any] | None, forms: list[AgentTask]) -> list[dict[str, Any]]:
    """Return the run's questions with their forms. If the run cannot be read, return those that the forms show."""
    shown = {}
    for task in forms:
        if task.form and (interrupt_id := as_line(task.form.values.get(ID_FIELD))):
            place = {**_task_key(task), "shown_at": task.form.shown_at.isoformat()}
            label = as_line(task.form.subject)
            shown[interrupt_id] = {"id": interrupt_id, "agent": None, "label": label, "form": place}
    if run is None:
        return list(shown.values())
    return [{**question, "form": shown.get(question["id"], {}).get("form")} for question in run["interrupts"]]


def _task_key(task: AgentTask) -> dict[str, Any]:
    return {name: getattr(task, name) for name in ("dag_id", "dag_run_id", "task_id", "map_index")}
