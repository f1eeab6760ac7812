# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits for a run that somebody else started."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSensorTimeout
from airflow.sdk import BaseSensorOperator
from airflow.sdk.bases.sensor import PokeReturnValue

from airflow_provider_agentruns.arguments import check_run_id, check_wait_for
from airflow_provider_agentruns.base import RUN_ID_KEY, AgentRunTask, state_store, trigger_error
from airflow_provider_agentruns.exceptions import AgentRunTimeoutError
from airflow_provider_agentruns.run_outcome import has_reached
from airflow_provider_agentruns.xcom_values import summary

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


#: What a sensor that is started anew for each look keeps, so that it logs each status once.
_KEY = "agent_run_seen"


class AgentRunSensor(AgentRunTask, BaseSensorOperator):
    """
    Waits until a run has reached one of the awaited statuses.

    Its XCom value is ``{"run_id", "status", "agent", "thread_id", "interrupts": [{"id", "agent", "value"}, ...]}``.
    The run's id is also under the XCom key ``run_id``.

    A run that ends as ``error`` fails the task, unless that is awaited. An interrupt that is not awaited does
    not end the wait: somebody may answer it elsewhere. ``timeout``, ``soft_fail`` and the other parameters of
    Airflow's sensors mean the same in all modes.

    The first look raises what goes wrong. A service that fails later, while the sensor waits, is asked again
    until ``timeout``.

    :param run_id: The run's id; a template, or another task's output. (templated)
    :param wait_for: One or more of ``completed``, ``interrupted`` and ``error``.
    :param poke_interval: Seconds between two looks. By default 5, and 60 in mode ``reschedule``, where each
        look costs the start of a task.
    :param agentruns_conn_id: The Airflow connection. (templated)
    :param deferrable: Whether to wait in the triggerer, whatever ``mode`` says.
    :raises AgentRunFailedError: If the run ended as ``error``; the message names the failing step.
    :raises AgentRunTimeoutError: If ``timeout`` has passed; to Airflow it is an ``AirflowSensorTimeout``.
    """

    template_fields: Sequence[str] = ("run_id", "agentruns_conn_id")

    def __init__(
        self,
        *,
        run_id: str | XComArg,
        wait_for: Collection[str] | str = ("completed", "interrupted"),
        poke_interval: timedelta | float | None = None,
        mode: str = "poke",
        **kwargs: Any,
    ) -> None:
        check_run_id(run_id)
        if poke_interval is None:
            poke_interval = 60 if mode == "reschedule" else 5
        super().__init__(poke_interval=poke_interval, mode=mode, **kwargs)
        self.run_id = run_id
        self.wait_for = check_wait_for(wait_for)
        self._event: dict[str, Any] | None = None
        self._deadline: float | None = None
        self._waiting = False

    def execute(self, context: Context) -> Any:
        """Wait; Airflow's own sensor calls :meth:`poke` as the mode asks for, and minds ``soft_fail``."""
        try:
            return super().execute(context)
        except AirflowSensorTimeout as e:
            if isinstance(e, AgentRunTimeoutError):
                raise
            raise _sensor_timeout(
                f"Agent run {self.run_id} did not become {' or '.join(self.wait_for)} within the sensor's timeout of "
                f"{self.timeout:g} s. The run itself goes on"
            ) from None

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Look at the run once; where it is not there yet, and the sensor is deferrable, defer."""
        run_id = str(self.run_id)
        memory = state_store(context) if self.reschedule else None
        if memory and self._seen is None and context.get("task_reschedule_count"):
            self._seen = (memory.get(_KEY) or {}).get("status")
        known = self._seen
        patient = self._waiting or bool(context.get("task_reschedule_count"))
        self._waiting = True
        # Airflow's sensor decides by the class of an error, inside this call.
        with self.error_boundary():
            run = self.look(run_id, patient=patient)
            if memory and self._seen != known:
                memory.set(_KEY, {"status": self._seen})
            if run and has_reached(run, self.wait_for):
                # So that output["run_id"], which means an XCom key to Airflow, is what it looks like.
                context["ti"].xcom_push(key=RUN_ID_KEY, value=run.id)
                return PokeReturnValue(True, summary(run))
            if error := trigger_error(self._event):
                raise _sensor_timeout(str(error)) if isinstance(error, AgentRunTimeoutError) else error
        if self.deferrable:
            deadline = time.time() + self.timeout if self._deadline is None else self._deadline
            self.defer_for(run_id, self.wait_for, poll_interval=self.poke_interval, deadline=deadline)
        return False

    def execute_complete(self, context: Context, event: dict[str, Any], deadline: float | None = None) -> Any:
        """Look at the run that the trigger has seen change, and go on waiting should it have changed again."""
        self._event, self._deadline = event, deadline
        # The triggerer has logged it.
        self._seen = event.get("status")
        # In another process than the one that began to wait.
        self._waiting = True
        return self.execute(context)


def _sensor_timeout(message: str) -> AgentRunTimeoutError:
    from airflow_provider_agentruns.hooks.task_errors import sensor_timeout

    return sensor_timeout(message)
