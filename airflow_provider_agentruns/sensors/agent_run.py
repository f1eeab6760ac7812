# SPDX-License-Identifier: Apache-2.0
"""``AgentRunSensor``: waits for a run that something else started."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, AirflowTaskTimeout
from airflow.sdk import BaseSensorOperator
from airflow.sdk.bases.sensor import PokeReturnValue

from airflow_provider_agentruns.arguments import check_run_id, check_wait_for
from airflow_provider_agentruns.base import AgentRunTask
from airflow_provider_agentruns.exceptions import AgentRunFailedError, AgentRunsError, AgentRunTimeoutError
from airflow_provider_agentruns.final_errors import sensor_timeout
from airflow_provider_agentruns.outputs import run_summary
from airflow_provider_agentruns.run_outcome import has_reached
from airflow_provider_agentruns.text import single_line

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


class AgentRunSensor(AgentRunTask, BaseSensorOperator):
    """
    Waits until a run has reached one of the awaited statuses.

    The XCom value is ``{"run_id", "status", "agent", "thread_id", "interrupts": [{"id", "agent", "value"}, ...]}``. The
    run's ID is also under the XCom key ``run_id``.

    A run that ends as ``error`` fails the task, unless ``error`` is awaited. An interrupt that is not awaited does not
    end the wait, because someone may answer it elsewhere. If the first read fails, the task fails. If a later read
    fails, the sensor reads again until ``timeout``.

    ``soft_fail`` skips the task if a time limit has passed or the run ended as ``error``, not after other errors.
    ``exponential_backoff`` and ``max_wait`` have no effect while the sensor is deferred.

    :param run_id: The run's ID, as a template or another task's output. (templated)
    :param wait_for: One or more of ``completed``, ``interrupted``, and ``error``.
    :param poke_interval: Seconds between two reads. The default is 5, or 60 in mode ``reschedule``.
    :raises AgentRunFailedError: If the run ended as ``error``. The message names the failing step.
    :raises AgentRunTimeoutError: If ``timeout`` has passed. It is also an ``AirflowSensorTimeout``.
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

    def execute(self, context: Context) -> Any:
        try:
            return super().execute(context)
        except AirflowTaskTimeout as e:
            # Airflow itself ignores soft_fail if execution_timeout passes between two reads.
            if self.soft_fail:
                raise AirflowSkipException(f"execution_timeout ({self.execution_timeout}) has passed") from e
            raise
        except AirflowSensorTimeout as e:
            if isinstance(e, AgentRunTimeoutError):
                raise
            raise sensor_timeout(
                f"Agent run {single_line(self.run_id)} did not become {' or '.join(self.wait_for)} within the sensor's "
                f"timeout of {self.timeout:g} s. The run itself continues"
            ) from None

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Read the run once. If the wait is not over, a deferrable sensor defers."""
        run_id = str(self.run_id)
        has_waited = bool(self._event or self._last_run or context.get("task_reschedule_count"))
        # Here rather than in execute, because Airflow decides by the error that poke raises whether soft_fail applies.
        with self.error_boundary():
            run = self.read_run(run_id, tolerate_outage=has_waited)
            if run and has_reached(run, self.wait_for):
                # In a DAG file, output["run_id"] means the XCom key, not the entry of the value.
                self.push_run_id(context, run.id)
                return PokeReturnValue(True, run_summary(run))
            if error := self.trigger_error():
                raise sensor_timeout(str(error)) if isinstance(error, AgentRunTimeoutError) else error
        if self.deferrable:
            deadline = time.time() + self.timeout if self._deadline is None else self._deadline
            self.defer_wait(run_id, self.wait_for, poll_interval=self.poke_interval, deadline=deadline)
        return False

    def execute_complete(self, context: Context, event: dict[str, Any], **kwargs: Any) -> Any:
        self.restore_wait(event, **kwargs)
        return self.execute(context)

    @contextmanager
    def error_boundary(self) -> Iterator[None]:
        with super().error_boundary():
            try:
                yield
            except AgentRunsError as e:
                self.soft_fail = self.soft_fail and isinstance(e, AgentRunFailedError | AgentRunTimeoutError)
                raise
