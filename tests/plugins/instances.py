# SPDX-License-Identifier: Apache-2.0
"""Task instances in Airflow's database, as its scheduler and workers write them."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import delete, insert, select

CONNECTION = "agentruns_default"
TRIGGER = "airflow_provider_agentruns.triggers.agent_run.AgentRunTrigger"

_BUNDLE = "plugins-tests"
_numbers = itertools.count(1)


def _new_id() -> Any:
    new = uuid.uuid4()
    # Airflow 3.1 stores IDs as text.
    return str(new) if TaskInstance.__table__.c.id.type.python_type is str else new


class Instances:
    """Adds task instances, and removes them at the end."""

    def __init__(self) -> None:
        self._dag_runs: list[tuple[str, str]] = []
        self._triggers: list[int] = []

    def dag_run(self, dag_id: str, start: datetime | None = None, *, is_stale: bool = False) -> str:
        """Add a DAG run, and the DAG if necessary, whose file can be gone (``is_stale``). Return the run's ID."""
        start = start or datetime.now(UTC)
        times = {"run_after": start, "queued_at": start, "start_date": start}
        run_id = f"manual__{start:%Y-%m-%dT%H:%M:%S}+00:00~{next(_numbers)}"
        with create_session() as session:
            session.merge(DagBundleModel(name=_BUNDLE))
            session.flush()
            session.merge(DagModel(dag_id=dag_id, bundle_name=_BUNDLE, is_stale=is_stale, is_paused=False))
            session.add(DagRun(dag_id=dag_id, run_id=run_id, run_type="manual", state="running", **times))
        self._dag_runs.append((dag_id, run_id))
        return run_id

    def task(
        self,
        dag_id: str,
        dag_run: str | None = None,
        *,
        task_id: str = "wait",
        state: str = "running",
        operator: str = "AgentRunSensor",
        map_index: int = -1,
        label: str | None = None,
        ago: float = 60,
        rendered: dict[str, Any] | None = None,
        xcoms: dict[str, Any] | None = None,
        trigger: dict[str, Any] | None = None,
        form: dict[str, Any] | None = None,
    ) -> tuple[str, str, str, int]:
        """
        Add a task instance.

        :param label: The name of an instance of a mapped task.
        :param ago: Seconds since it started.
        :param rendered: Its rendered fields, if any.
        :param trigger: The arguments of its trigger.
        :param form: The ``subject`` and ``interrupt_id`` of its form, and how many seconds ago it was answered.
        """
        run_id = dag_run or self.dag_run(dag_id)
        ti_id, started = _new_id(), datetime.now(UTC) - timedelta(seconds=ago)
        key = {"dag_id": dag_id, "task_id": task_id, "run_id": run_id, "map_index": map_index}
        with create_session() as session:
            trigger_id = None
            if trigger is not None:
                row = Trigger(TRIGGER, trigger, created_date=started)
                session.add(row)
                session.flush()
                trigger_id = row.id
                self._triggers.append(trigger_id)
            session.execute(
                insert(TaskInstance.__table__).values(
                    id=ti_id,
                    **key,
                    state=state,
                    operator=operator,
                    rendered_map_index=label,
                    pool="default_pool",
                    pool_slots=1,
                    start_date=started,
                    trigger_id=trigger_id,
                    try_number=1,
                )
            )
            if rendered is not None:
                session.execute(insert(RenderedTaskInstanceFields).values(**key, rendered_fields=rendered))
            if form is not None:
                self._add_form(session, ti_id, started, **form)
        for name, value in (xcoms or {}).items():
            self.set_xcom(dag_id, run_id, task_id, map_index, name, value)
        return dag_id, run_id, task_id, map_index

    def set_xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int, name: str, value: Any) -> None:
        """Store an XCom value as JSON, as tasks do."""
        key = {"dag_id": dag_id, "task_id": task_id, "run_id": run_id, "map_index": map_index}
        with create_session() as session:
            number = session.scalar(select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
            session.execute(insert(XComModel).values(**key, dag_run_id=number, key=name, value=value))

    def clean_up(self) -> None:
        """Remove all rows, so that no other test sees them."""
        with create_session() as session:
            for dag_id, run_id in self._dag_runs:
                session.execute(delete(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
            session.execute(delete(Trigger).where(Trigger.id.in_(self._triggers)))

    @staticmethod
    def _add_form(
        session: Any, ti_id: Any, shown_at: datetime, subject: str, interrupt_id: str, answered: float | None = None
    ) -> None:
        session.execute(
            insert(HITLDetail).values(
                ti_id=ti_id,
                options=["Approve", "Reject"],
                subject=subject,
                params={"interrupt_id": {"value": interrupt_id, "schema": {"const": interrupt_id}}},
                created_at=shown_at,
                responded_at=None if answered is None else datetime.now(UTC) - timedelta(seconds=answered),
                params_input={},
            )
        )
