# SPDX-License-Identifier: Apache-2.0
"""What Airflow's database knows of the tasks that have to do with a run: which run, and over which connection."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow.models.hitl import HITLDetail
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from sqlalchemy import ColumnElement, Text, and_, cast, func, or_, select
from sqlalchemy.orm import Load, Session

from airflow_provider_agentruns.base import RUN_ID_KEY

#: The names of the operators as Airflow keeps them with a task instance.
OPERATORS = (
    "AgentRunOperator",
    "AgentRunOutputOperator",
    "AgentRunResumeOperator",
    "AgentRunReviewOperator",
    "AgentRunSensor",
    "_AgentRunDecoratedOperator",
    "@task.agent_run",
)

#: States in which a task waits, or works on what it waited for.
WAITING_STATES = ("running", "deferred", "awaiting_input", "up_for_reschedule")

#: States that a task does not leave by itself.
_SETTLED = ("success", "failed", "skipped", "upstream_failed", "removed")

_CONNECTION = "agentruns_conn_id"
_TRIGGERS = "airflow_provider_agentruns.triggers."


@dataclass(frozen=True)
class Form:
    """A form that waits for a person's answer."""

    subject: str
    interrupt_id: str | None
    shown_at: datetime | None


@dataclass(frozen=True)
class AgentTask:
    """
    One task instance, and the run that it has to do with.

    :param run_id: The agent run's id, once it is known.
    :param conn_id: The Airflow connection that the task itself uses, where that can be told.
    :param agent: The agent that the task starts, where it starts one.
    :param is_agent_task: Whether it is a task of this package at all.
    :param since: Since when it is in its state, as far as is known.
    """

    dag_id: str
    dag_run_id: str
    task_id: str
    map_index: int
    operator: str
    state: str | None
    try_number: int
    started_at: datetime | None
    ended_at: datetime | None
    since: datetime | None
    run_id: str | None
    conn_id: str | None
    agent: str | None
    is_agent_task: bool
    form: Form | None

    @property
    def settled(self) -> bool:
        """Whether it stays as it is unless somebody clears it."""
        return self.state in _SETTLED


def find(session: Session, dag_id: str, dag_run_id: str, task_id: str, map_index: int) -> AgentTask | None:
    """Return one task instance, or None where there is none."""
    here = and_(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == dag_run_id,
        TaskInstance.task_id == task_id,
        TaskInstance.map_index == map_index,
    )
    row = session.execute(_rows().where(here)).first()
    if row is None:
        return None
    task = _task(row)
    if task.run_id and not task.conn_id:
        return replace(task, conn_id=_connection_in_dag(session, dag_id, task_id))
    return task


def waiting(session: Session, dag_ids: Collection[str], limit: int) -> tuple[list[AgentTask], int]:
    """
    Return the tasks of this package that wait or work, those that began first, and how many there are in all.

    :param dag_ids: Only of these DAGs.
    """
    these = and_(TaskInstance.dag_id.in_(dag_ids), TaskInstance.state.in_(WAITING_STATES), _are_ours())
    rows = session.execute(_rows().where(these).order_by(TaskInstance.start_date, TaskInstance.id).limit(limit)).all()
    if len(rows) < limit:
        return list(map(_task, rows)), len(rows)
    counted = _with_signs(select(func.count()).select_from(TaskInstance)).where(these)
    return list(map(_task, rows)), session.scalar(counted) or 0


def dags_with_waiting(session: Session, dag_ids: Collection[str]) -> list[str]:
    """Return which of some DAGs have such tasks, in order."""
    these = and_(TaskInstance.dag_id.in_(dag_ids), TaskInstance.state.in_(WAITING_STATES), _are_ours())
    return list(session.scalars(_with_signs(select(TaskInstance.dag_id).distinct()).where(these).order_by("dag_id")))


def open_forms(session: Session, dag_id: str, dag_run_id: str) -> list[tuple[AgentTask, Form]]:
    """Return the tasks of a DAG run that show a person the form of an interrupt, with the form."""
    these = and_(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == dag_run_id,
        TaskInstance.state.in_(WAITING_STATES),
        HITLDetail.responded_at.is_(None),
    )
    tasks: Iterable[AgentTask] = map(_task, session.execute(_rows().where(these).limit(500)))
    return [(task, task.form) for task in tasks if task.form and task.form.interrupt_id]


def _connection_in_dag(session: Session, dag_id: str, task_id: str) -> str | None:
    """Return the connection that the DAG names, for a task whose rendered fields Airflow has removed meanwhile."""
    dag: Any = SerializedDagModel.get_dag(dag_id, session=session)
    task = dag.task_dict.get(task_id) if dag else None
    # A task that is mapped has its arguments there.
    arguments = getattr(task, "partial_kwargs", None) or {}
    return _text(arguments.get(_CONNECTION) or getattr(task, _CONNECTION, None))


def _rows() -> Any:
    """Return the ``select`` of all that is needed, with as little as possible of what may be large."""
    rendered, xcom = RenderedTaskInstanceFields, XComModel
    query = _with_signs(
        select(
            TaskInstance.dag_id,
            TaskInstance.run_id.label("dag_run_id"),
            TaskInstance.task_id,
            TaskInstance.map_index,
            TaskInstance.operator,
            TaskInstance.state,
            TaskInstance.try_number,
            TaskInstance.start_date,
            TaskInstance.end_date,
            Trigger,
            rendered.rendered_fields,
            xcom.value.label("run_id"),
            HITLDetail.subject,
            HITLDetail.params,
            HITLDetail.created_at,
            HITLDetail.responded_at,
        )
    )
    return (
        query.outerjoin(xcom, and_(_same_task(xcom), xcom.key == RUN_ID_KEY))
        .outerjoin(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .options(Load(Trigger).raiseload("*"))
    )


def _same_task(table: Any) -> ColumnElement[bool]:
    return and_(
        table.dag_id == TaskInstance.dag_id,
        table.run_id == TaskInstance.run_id,
        table.task_id == TaskInstance.task_id,
        table.map_index == TaskInstance.map_index,
    )


def _are_ours() -> ColumnElement[bool]:
    # A subclass has another name, and the same fields.
    return or_(
        TaskInstance.operator.in_(OPERATORS),
        Trigger.classpath.startswith(_TRIGGERS, autoescape=True),
        cast(RenderedTaskInstanceFields.rendered_fields, Text).contains(f'"{_CONNECTION}"', autoescape=True),
    )


def _with_signs(query: Any) -> Any:
    """Add to a ``select`` the tables by which a task of this package is known."""
    rendered = RenderedTaskInstanceFields
    return query.outerjoin(Trigger, TaskInstance.trigger_id == Trigger.id).outerjoin(rendered, _same_task(rendered))


def _task(row: Any) -> AgentTask:
    rendered: dict[str, Any] = row.rendered_fields or {}
    trigger = row.Trigger
    is_agent_task = bool(trigger and trigger.classpath.startswith(_TRIGGERS))
    given: dict[str, Any] = trigger.kwargs if is_agent_task else {}
    form = _form(row)
    return AgentTask(
        dag_id=row.dag_id,
        dag_run_id=row.dag_run_id,
        task_id=row.task_id,
        map_index=row.map_index,
        operator=row.operator or "",
        state=row.state,
        try_number=row.try_number,
        started_at=row.start_date,
        ended_at=row.end_date,
        since=row.end_date or (form and form.shown_at) or (trigger and trigger.created_date) or row.start_date,
        run_id=_text(xcom_value(row.run_id)) or _text(given.get("run_id")) or _text(rendered.get("run_id")),
        conn_id=_text(given.get(_CONNECTION)) or _text(rendered.get(_CONNECTION)),
        agent=_text(rendered.get("agent")),
        is_agent_task=is_agent_task or row.operator in OPERATORS or _CONNECTION in rendered,
        form=form,
    )


def _form(row: Any) -> Form | None:
    from airflow_provider_agentruns.reviews.form import ID_FIELD

    if row.created_at is None or row.responded_at is not None:
        return None
    field = (row.params or {}).get(ID_FIELD)
    return Form(row.subject, _text(field.get("value") if isinstance(field, dict) else field), row.created_at)


def xcom_value(stored: Any) -> Any:
    """
    Return what an XCom value of plain JSON is.

    Tasks have it stored as JSON, and ``XComModel.set`` as a text of JSON. Airflow's own decoder would also make
    objects of what stands for some.
    """
    if isinstance(stored, str) and stored[:1] in ('"', "{"):
        with suppress(ValueError):
            return json.loads(stored)
    return stored


def _text(value: Any) -> str | None:
    """Return a text that is one; a template that was not rendered, or what Airflow has hidden, is none."""
    usable = isinstance(value, str) and value.strip() and "{{" not in value and value != "***"
    return value if usable else None
