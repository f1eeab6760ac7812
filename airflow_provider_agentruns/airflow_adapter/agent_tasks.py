# SPDX-License-Identifier: Apache-2.0
"""Selects the task instances that the pages list. No public API joins them to their triggers and forms."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from sqlalchemy import ColumnElement, Text, and_, cast, func, or_, select
from sqlalchemy.orm import Load, Session

from airflow_provider_agentruns.airflow_adapter import TRIGGERS
from airflow_provider_agentruns.airflow_adapter.stored_xcom import read_stored

#: Operators that start their run, by the names that Airflow stores with a task instance.
STARTING_OPERATORS = ("AgentRunOperator", "_AgentRunDecoratedOperator", "@task.agent_run")

OPERATORS = (
    *STARTING_OPERATORS,
    "AgentRunOutputOperator",
    "AgentRunResumeOperator",
    "AgentRunReviewOperator",
    "AgentRunSensor",
)

# An answer to a form has an effect only in these states. Airflow also accepts answers in others.
_FORM_STATES = ("awaiting_input", "deferred")
# In these states, a task waits for a run or works on it.
_ACTIVE_STATES = ("running", "deferred", "awaiting_input", "up_for_reschedule", "up_for_retry")
#: Only clearing a task changes these states.
FINAL_STATES = ("success", "failed", "skipped", "upstream_failed", "removed")
_RUN_ID, _CONN_ID, _AGENT = "run_id", "agentruns_conn_id", "agent"
_KEY = ("dag_id", "run_id", "task_id", "map_index")
_COLUMNS = (*_KEY, "rendered_map_index", "operator", "state", "start_date", "end_date")
_MAX_FORMS, _MAX_XCOMS = 500, 100
# Excludes paths of object storage, templates, and masked values.
_VALID_RUN_ID = re.compile(r"[\w.:~-]{1,200}")


@dataclass(frozen=True)
class Form:
    """A form that waits for an answer, with the values of its fields before the answer."""

    subject: str
    values: dict[str, Any]
    shown_at: datetime


@dataclass(frozen=True)
class AgentTask:
    """
    A task instance and its agent run.

    :param from_xcom: Whether only XCom names the run. Anyone with write access to XCom can change it.
    :param dag_run_began: The earliest time at which a task of the DAG run can have started.
    """

    dag_id: str
    dag_run_id: str
    task_id: str
    map_index: int
    label: str | None
    state: str | None
    since: datetime | None
    run_id: str | None
    from_xcom: bool
    conn_id: str | None
    agent: str | None
    is_agent_task: bool
    dag_run_began: datetime
    form: Form | None

    def same_run_as(self, other: AgentTask) -> bool:
        """Return whether both tasks have the same run, as far as it is stored."""
        pairs = (self.run_id, other.run_id), (self.conn_id, other.conn_id)
        return all(None in pair or pair[0] == pair[1] for pair in pairs)

    def may_show(self, agent: str | None, created_at: str | None) -> bool:
        """Return whether a page may show the run. If only XCom names it, the task must be able to have started it."""
        if not self.from_xcom:
            return True
        right_agent = self.agent is None or agent is None or agent == self.agent
        # The clocks of the service and of Airflow may differ.
        began = self.dag_run_began - timedelta(minutes=10)
        return right_agent and (created_at is None or datetime.fromisoformat(created_at) >= began)


def find(session: Session, dag_id: str, dag_run_id: str, task_id: str, map_index: int) -> AgentTask | None:
    values = {"dag_id": dag_id, "run_id": dag_run_id, "task_id": task_id, "map_index": map_index}
    found = _tasks(session, *(getattr(TaskInstance, name) == value for name, value in values.items()))
    if found and found[0].run_id and not found[0].conn_id:
        return replace(found[0], conn_id=_connection_in_dag(session, dag_id, task_id))
    return found[0] if found else None


def active(session: Session, dag_ids: Collection[str], limit: int) -> list[AgentTask]:
    """Return the package's tasks of some DAGs that wait for a run or work on it, oldest first."""
    return _tasks(session, _is_active(dag_ids), limit=limit)


def count_active_by_dag(session: Session, dag_ids: Collection[str]) -> dict[str, int]:
    query = _joined(select(TaskInstance.dag_id, func.count()))
    rows = session.execute(query.where(_is_active(dag_ids)).group_by(TaskInstance.dag_id))
    return dict(map(tuple, rows))


def open_forms(session: Session, dag_id: str, dag_run_id: str) -> list[AgentTask]:
    return _tasks(
        session,
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == dag_run_id,
        TaskInstance.state.in_(_FORM_STATES),
        _dag_exists(),
        HITLDetail.created_at.is_not(None),
        HITLDetail.responded_at.is_(None),
        limit=_MAX_FORMS,
    )


def xcom_values(session: Session, dag_id: str, dag_run_id: str, key: str) -> list[tuple[str, int, Any]]:
    """Return task ID, map index, and value of a DAG run's XComs with a key, oldest first."""
    rows = session.execute(
        select(XComModel.task_id, XComModel.map_index, XComModel.value, XComModel.timestamp)
        .where(XComModel.dag_id == dag_id, XComModel.run_id == dag_run_id, XComModel.key == key)
        .order_by(XComModel.timestamp)
        .limit(_MAX_XCOMS)
    )
    return [(row.task_id, row.map_index, read_stored(row.value, row.timestamp)) for row in rows]


def _connection_in_dag(session: Session, dag_id: str, task_id: str) -> str | None:
    """Return the connection in the serialized DAG. Airflow deletes the rendered fields of old task instances."""
    dag: Any = SerializedDagModel.get_dag(dag_id, session=session)
    task = dag.task_dict.get(task_id) if dag else None
    # A mapped task has its constant arguments in partial_kwargs.
    arguments = getattr(task, "partial_kwargs", None) or {}
    return _name(arguments.get(_CONN_ID) or getattr(task, _CONN_ID, None))


def _tasks(session: Session, *where: ColumnElement[bool], limit: int = 1) -> list[AgentTask]:
    # Other columns can be large.
    query = _joined(
        select(
            *(getattr(TaskInstance, name) for name in _COLUMNS),
            Trigger,
            RenderedTaskInstanceFields.rendered_fields,
            XComModel.value.label("xcom"),
            XComModel.timestamp.label("xcom_written_at"),
            HITLDetail.subject,
            HITLDetail.params,
            HITLDetail.created_at.label("shown_at"),
            HITLDetail.responded_at,
            DagRun.run_after,
            DagRun.queued_at,
            DagRun.start_date.label("dag_run_start"),
        )
    )
    rows = session.execute(
        query.join(DagRun, and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id))
        .outerjoin(XComModel, and_(_same_task(XComModel), XComModel.key == _RUN_ID))
        .outerjoin(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .options(Load(Trigger).raiseload("*"))
        .where(*where)
        .order_by(TaskInstance.start_date, TaskInstance.id)
        .limit(limit)
    )
    return [_task(row) for row in rows]


def _joined(query: Any) -> Any:
    rendered = RenderedTaskInstanceFields
    return query.outerjoin(Trigger, TaskInstance.trigger_id == Trigger.id).outerjoin(rendered, _same_task(rendered))


def _same_task(table: Any) -> ColumnElement[bool]:
    return and_(*(getattr(table, name) == getattr(TaskInstance, name) for name in _KEY))


def _is_active(dag_ids: Collection[str]) -> ColumnElement[bool]:
    of_this_package = or_(
        TaskInstance.operator.in_(OPERATORS),
        Trigger.classpath.startswith(TRIGGERS, autoescape=True),
        # A subclass has the same template fields.
        cast(RenderedTaskInstanceFields.rendered_fields, Text).contains(f'"{_CONN_ID}"', autoescape=True),
    )
    return and_(
        TaskInstance.dag_id.in_(dag_ids), TaskInstance.state.in_(_ACTIVE_STATES), _dag_exists(), of_this_package
    )


def _dag_exists() -> ColumnElement[bool]:
    """Return a condition for tasks whose DAG file exists. Airflow never resumes others."""
    return TaskInstance.dag_id.in_(select(DagModel.dag_id).where(DagModel.is_stale.is_(False)))


def _task(row: Any) -> AgentTask:
    rendered: dict[str, Any] = row.rendered_fields if isinstance(row.rendered_fields, dict) else {}
    has_trigger = row.Trigger is not None and row.Trigger.classpath.startswith(TRIGGERS)
    trigger: dict[str, Any] = row.Trigger.kwargs if has_trigger else {}
    form = None
    if row.shown_at is not None and row.responded_at is None and row.state in _FORM_STATES:
        fields = row.params if isinstance(row.params, dict) else {}
        values = {name: field.get("value") if isinstance(field, dict) else field for name, field in fields.items()}
        form = Form(row.subject, values, row.shown_at)
    run_id = _run_id(trigger.get(_RUN_ID)) or _run_id(rendered.get(_RUN_ID))
    # If a task starts its own run, only XCom names the run while the task works, and after Airflow has deleted the
    # rendered fields.
    from_xcom = not run_id and (row.operator in STARTING_OPERATORS or _AGENT in rendered)
    if from_xcom:
        run_id = _run_id(read_stored(row.xcom, row.xcom_written_at))
    return AgentTask(
        dag_id=row.dag_id,
        dag_run_id=row.run_id,
        task_id=row.task_id,
        map_index=row.map_index,
        label=row.rendered_map_index if row.map_index >= 0 else None,
        state=row.state,
        since=row.end_date or (form and form.shown_at) or (row.Trigger and row.Trigger.created_date) or row.start_date,
        run_id=run_id,
        from_xcom=from_xcom,
        conn_id=_name(trigger.get(_CONN_ID)) or _name(rendered.get(_CONN_ID)),
        agent=_name(rendered.get(_AGENT)),
        is_agent_task=has_trigger or row.operator in OPERATORS or _CONN_ID in rendered,
        dag_run_began=min(moment for moment in (row.run_after, row.queued_at, row.dag_run_start) if moment),
        form=form,
    )


def _run_id(value: Any) -> str | None:
    return value if isinstance(value, str) and _VALID_RUN_ID.fullmatch(value) else None


def _name(value: Any) -> str | None:
    """Return a name; None for an unrendered template, a masked value, and anything that cannot be a name."""
    if not isinstance(value, str) or not value.strip() or "{{" in value or value == "***":
        return None
    return value if len(value) <= 250 and value.isprintable() else None
