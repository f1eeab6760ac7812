# SPDX-License-Identifier: Apache-2.0
"""
Runs a task try by try, as Airflow does, without a DAG run and a database.

A deferred task continues in a new operator object, with a trigger that was serialized and created again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from airflow.sdk import BaseOperator
from airflow.sdk.module_loading import import_string

from tests.support.airflow_names import AirflowRescheduleException
from tests.support.airflow_versions import HAS_STATE_STORE
from tests.support.state_store import StateStore

#: Seconds after which a trigger that does not fire fails the test.
_LIMIT = 30.0


@dataclass
class TaskRun:
    """
    A task instance and its results.

    :ivar state: ``success``, ``failed``, or ``skipped``.
    :ivar value: The return value.
    :ivar error: The error of the last try.
    :ivar events: The events of the triggers that the task deferred to.
    """

    state: str = ""
    value: Any = None
    error: BaseException | None = None
    try_number: int = 0
    max_tries: int = 0
    id: str = "ti"
    map_index: int = -1
    xcoms: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    reschedules: int = 0
    store: StateStore = field(default_factory=StateStore)
    begun: pendulum.DateTime = field(default_factory=lambda: pendulum.now("UTC"))

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def get_first_reschedule_date(self, context: object) -> pendulum.DateTime | None:
        return self.begun if self.reschedules else None


def run_task(make: Callable[[], BaseOperator]) -> TaskRun:
    """
    Run a task to its end, with all its retries.

    :param make: Creates the operator, as parsing the DAG file does in each new process.
    """
    run = TaskRun(max_tries=make().retries or 0)
    while True:
        run.try_number += 1
        context: dict[str, Any] = {
            "ti": run,
            "dag_run": SimpleNamespace(start_date=run.begun, run_after=run.begun),
            "task_reschedule_count": 0,
            **({"task_state_store": run.store} if HAS_STATE_STORE else {}),
        }
        try:
            run.value = _try(make, run, context)
            run.state, run.error = "success", None
            return run
        except AirflowSkipException as e:
            run.state, run.error = "skipped", e
            return run
        except (Exception, AirflowTaskTimeout) as e:  # noqa: BLE001 -- Airflow's task runner catches all errors of a task
            run.state, run.error = "failed", e
            if isinstance(e, AirflowFailException | AirflowSensorTimeout) or run.try_number > run.max_tries:
                return run


def _try(make: Callable[[], BaseOperator], run: TaskRun, context: dict[str, Any]) -> Any:
    method, kwargs = "", {}
    while True:
        try:
            return make().resume_execution(method, kwargs, context) if method else make().execute(context)
        except TaskDeferred as deferral:
            event = _fire(deferral.trigger)
            run.events.append(event)
            method, kwargs = deferral.method_name, {**(deferral.kwargs or {}), "event": event}
        except AirflowRescheduleException as reschedule:
            run.reschedules += 1
            context["task_reschedule_count"] = run.reschedules
            time.sleep(max(0.0, reschedule.reschedule_date.timestamp() - time.time()))
            method = ""


def _fire(trigger: Any) -> dict[str, Any]:
    """Return the event of a trigger. Its arguments and the event pass through JSON."""
    classpath, arguments = trigger.serialize()
    again = import_string(classpath)(**json.loads(json.dumps(arguments)))

    async def fire() -> Any:
        async with asyncio.timeout(_LIMIT):
            async for event in again.run():
                return event.payload
        return None

    event: dict[str, Any] = json.loads(json.dumps(asyncio.run(fire())))
    return event
