# SPDX-License-Identifier: Apache-2.0
"""Queries for the pages: which agent run a task instance has, over which connection, and which forms are open."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from sqlalchemy import ColumnElement, Text, and_, cast, func, or_, select
from sqlalchemy.orm import Load, Session

#: Operators that start their run, by the names that Airflow stores with a task instance.
STARTING_OPERATORS = ("AgentRunOperator", "_AgentRunDecoratedOperator", "@task.agent_run")

#: All operators of this package.
OPERATORS = (
    *STARTING_OPERATORS,
    "AgentRunOutputOperator",
    "AgentRunResumeOperator",
    "AgentRunReviewOperator",
    "AgentRunSensor",
)

#: States of a task that is waiting or working.
ACTIVE_STATES = ("running", "deferred", "awaiting_input", "up_for_reschedule")

_FINAL_STATES = ("success", "failed", "skipped", "upstream_failed", "removed")
_RUN_ID, _CONN_ID, _AGENT = "run_id", "agentruns_conn_id", "agent"
_TRIGGERS = "airflow_provider_agentruns.triggers."
_MAX_LENGTH = 250
_MAX_FORMS = 500

#: How far the clocks of the service and of Airflow may differ.
_CLOCK_SKEW = timedelta(minutes=10)


@dataclass(frozen=True)
class Form:
    """
    A form that waits for an answer.

    :param params: Its fields with their values, as Airflow stores them.
    """

    subject: str
    params: dict[str, Any]
    shown_at: datetime


@dataclass(frozen=True)
class AgentTask:
    """
    One task instance and its agent run.

    :param run_id: ID of the agent run, once known.
    :param from_xcom: Whether only the task's XCom names that run. People with write access to XCom can change it.
    :param conn_id: The Airflow connection that the task uses, if known.
    :param agent: The agent that the task starts, if it starts one.
    :param is_agent_task: Whether the task belongs to this package.
    :param since: When the task entered its state, as far as Airflow stores it.
    :param dag_run_began: The earliest time at which a task of the DAG run can have started.
    """

    dag_id: str
    dag_run_id: str
    task_id: str
    map_index: int
    state: str | None
    since: datetime | None
    run_id: str | None
    from_xcom: bool
    conn_id: str | None
    agent: str | None
    is_agent_task: bool
    dag_run_began: datetime
    form: Form | None

    @property
    def is_final(self) -> bool:
        """Whether the state changes only if someone clears the task."""
        return self.state in _FINAL_STATES

    def may_show(self, agent: str | None, created_at: str | None) -> bool:
        """
        Return whether a page may show the run: a run that only XCom names must be one that this task can have started.

        :param agent: The run's agent, as the service returned it.
        :param created_at: When the run was created, as an ISO 8601 time with its time zone.
        """
        if not self.from_xcom:
            return True
        right_agent = self.agent is None or agent is None or agent == self.agent
        began = self.dag_run_began - _CLOCK_SKEW
        return right_agent and (created_at is None or datetime.fromisoformat(created_at) >= began)


def find(session: Session, dag_id: str, dag_run_id: str, task_id: str, map_index: int) -> AgentTask | None:
    """Return one task instance, or None if it does not exist."""
    key = (dag_id, dag_run_id, task_id, map_index)
    columns = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index)
    task = next(_tasks(session, *(column == value for column, value in zip(columns, key, strict=True))), None)
    if task and task.run_id and not task.conn_id:
        return replace(task, conn_id=_connection_in_dag(session, dag_id, task_id))
    return task


def active(session: Session, dag_ids: Collection[str], limit: int) -> tuple[list[AgentTask], int]:
    """Return the package's active tasks of some DAGs, those that started first, and the number of all of them."""
    where = _active_in(dag_ids)
    tasks = list(_tasks(session, where, limit=limit))
    if len(tasks) < limit:
        return tasks, len(tasks)
    return tasks, session.scalar(_joined(select(func.count(TaskInstance.id))).where(where)) or 0


def dags_with_active(session: Session, dag_ids: Collection[str]) -> list[str]:
    """Return the IDs of the DAGs that have active tasks of this package, sorted."""
    return sorted(session.scalars(_joined(select(TaskInstance.dag_id).distinct()).where(_active_in(dag_ids))))


def open_forms(session: Session, dag_id: str, dag_run_id: str) -> list[AgentTask]:
    """Return the tasks of a DAG run whose form waits for an answer."""
    where = (
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == dag_run_id,
        TaskInstance.state.in_(ACTIVE_STATES),
        HITLDetail.created_at.is_not(None),
        HITLDetail.responded_at.is_(None),
    )
    return [task for task in _tasks(session, *where, limit=_MAX_FORMS) if task.form]


def xcom_values(session: Session, dag_id: str, dag_run_id: str, key: str, limit: int) -> list[tuple[str, int, Any]]:
    """Return task ID, map index, and value of a DAG run's XComs with a key, oldest first."""
    query = (
        select(XComModel.task_id, XComModel.map_index, XComModel.value)
        .where(XComModel.dag_id == dag_id, XComModel.run_id == dag_run_id, XComModel.key == key)
        .order_by(XComModel.timestamp)
        .limit(limit)
    )
    return [(row.task_id, row.map_index, _xcom_value(row.value)) for row in session.execute(query)]


def _connection_in_dag(session: Session, dag_id: str, task_id: str) -> str | None:
    """Return the connection in the DAG's code. Airflow deletes the rendered fields of old task instances."""
    dag: Any = SerializedDagModel.get_dag(dag_id, session=session)
    task = dag.task_dict.get(task_id) if dag else None
    # A mapped task has its constant arguments in partial_kwargs.
    arguments = getattr(task, "partial_kwargs", None) or {}
    return _text(arguments.get(_CONN_ID) or getattr(task, _CONN_ID, None))


def _tasks(session: Session, *where: ColumnElement[bool], limit: int = 1) -> Iterator[AgentTask]:
    """Select only the columns that pages need: others can be large."""
    query = _joined(
        select(
            TaskInstance.dag_id,
            TaskInstance.run_id.label("dag_run_id"),
            TaskInstance.task_id,
            TaskInstance.map_index,
            TaskInstance.operator,
            TaskInstance.state,
            TaskInstance.start_date,
            TaskInstance.end_date,
            Trigger,
            RenderedTaskInstanceFields.rendered_fields,
            XComModel.value.label("xcom"),
            HITLDetail.subject,
            HITLDetail.params,
            HITLDetail.created_at.label("shown_at"),
            HITLDetail.responded_at,
            DagRun.run_after,
            DagRun.queued_at,
            DagRun.start_date.label("dag_run_start"),
        )
    )
    query = (
        query.join(DagRun, and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id))
        .outerjoin(XComModel, and_(_same_task(XComModel), XComModel.key == _RUN_ID))
        .outerjoin(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .options(Load(Trigger).raiseload("*"))
        .where(*where)
        .order_by(TaskInstance.start_date, TaskInstance.id)
        .limit(limit)
    )
    return map(_task, session.execute(query))


def _joined(query: Any) -> Any:
    """Join the tables by which :func:`_active_in` recognizes a task."""
    rendered = RenderedTaskInstanceFields
    return query.outerjoin(Trigger, TaskInstance.trigger_id == Trigger.id).outerjoin(rendered, _same_task(rendered))


def _same_task(table: Any) -> ColumnElement[bool]:
    columns = ("dag_id", "run_id", "task_id", "map_index")
    return and_(*(getattr(table, name) == getattr(TaskInstance, name) for name in columns))


def _active_in(dag_ids: Collection[str]) -> ColumnElement[bool]:
    """Select the active tasks of this package."""
    of_this_package = or_(
        TaskInstance.operator.in_(OPERATORS),
        Trigger.classpath.startswith(_TRIGGERS, autoescape=True),
        # A subclass has another name, but the same template fields.
        cast(RenderedTaskInstanceFields.rendered_fields, Text).contains(f'"{_CONN_ID}"', autoescape=True),
    )
    return and_(TaskInstance.dag_id.in_(dag_ids), TaskInstance.state.in_(ACTIVE_STATES), of_this_package)


def _task(row: Any) -> AgentTask:
    rendered: dict[str, Any] = row.rendered_fields if isinstance(row.rendered_fields, dict) else {}
    has_trigger = row.Trigger is not None and row.Trigger.classpath.startswith(_TRIGGERS)
    trigger: dict[str, Any] = row.Trigger.kwargs if has_trigger else {}
    form = None
    if row.shown_at is not None and row.responded_at is None:
        form = Form(row.subject, row.params if isinstance(row.params, dict) else {}, row.shown_at)
    known = _text(trigger.get(_RUN_ID)) or _text(rendered.get(_RUN_ID))
    # XCom comes last, and only for a task that starts its run: no other place names that run while the task works, or
    # after Airflow has deleted the rendered fields.
    starts_run = row.operator in STARTING_OPERATORS or _AGENT in rendered
    from_xcom = _text(_xcom_value(row.xcom)) if starts_run and not known else None
    return AgentTask(
        dag_id=row.dag_id,
        dag_run_id=row.dag_run_id,
        task_id=row.task_id,
        map_index=row.map_index,
        state=row.state,
        since=row.end_date or (form and form.shown_at) or (row.Trigger and row.Trigger.created_date) or row.start_date,
        run_id=known or from_xcom,
        from_xcom=from_xcom is not None,
        conn_id=_text(trigger.get(_CONN_ID)) or _text(rendered.get(_CONN_ID)),
        agent=_text(rendered.get(_AGENT)),
        is_agent_task=has_trigger or row.operator in OPERATORS or _CONN_ID in rendered,
        dag_run_began=min(moment for moment in (row.run_after, row.queued_at, row.dag_run_start) if moment),
        form=form,
    )


def _xcom_value(stored: Any) -> Any:
    """
    Return an XCom value without Airflow's decoder, which creates objects of the classes that a value names.

    Tasks store JSON. ``XComModel.set`` stores text that holds JSON.
    """
    if isinstance(stored, str) and stored[:1] in ('"', "{"):
        with suppress(ValueError):
            return json.loads(stored)
    return stored


def _text(value: Any) -> str | None:
    """Return an ID or a name; None for an unrendered template, a masked value, and anything that no ID looks like."""
    if not isinstance(value, str) or not value.strip() or "{{" in value or value == "***":
        return None
    return value if len(value) <= _MAX_LENGTH and value.isprintable() else None
