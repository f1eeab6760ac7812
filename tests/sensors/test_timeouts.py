# SPDX-License-Identifier: Apache-2.0
"""``timeout``, ``soft_fail`` and ``never_fail`` mean the same in each mode."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import AgentRunTimeoutError
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor
from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.support.dag_runs import DagRunner

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"


def test_time_that_is_up_and_errors(agent_runs_emulator: Emulator, run_dag: DagRunner, mode: str) -> None:
    create = agent_runs_emulator.service.create_run
    pending, failed = (create(agent, business_id=BUSINESS).id for agent in ("needs_approval", "fails"))
    late = f'run_id="{pending}", wait_for=["completed"], timeout=timedelta(seconds=0.3)'
    result = run_dag(f"""
        AgentRunSensor(task_id="late", {late}, retries=2, retry_delay=timedelta(0), {mode})
        AgentRunSensor(task_id="late_soft", {late}, soft_fail=True, {mode})
        AgentRunSensor(task_id="failed_soft", run_id="{failed}", soft_fail=True, {mode})
        AgentRunSensor(task_id="failed_never", run_id="{failed}", never_fail=True, {mode})
    """)
    assert result.states == {
        "late": "failed",
        "late_soft": "skipped",
        "failed_soft": "skipped",
        "failed_never": "skipped",
    }
    assert set(result.tries.values()) == {1}
    [raised] = {line for line in result.log.splitlines() if "exceptions.AgentRunTimeoutError: " in line}
    assert pending in raised
    assert agent_runs_emulator.count("GET", f"/v1/runs/{pending}") >= 4


def test_a_run_that_arrives_at_the_last_look_is_no_timeout(agent_runs_emulator: Emulator, run_dag: DagRunner) -> None:
    run = agent_runs_emulator.service.create_run("instant", business_id=BUSINESS)
    result = run_dag(f"""
        AgentRunSensor(task_id="poke", run_id="{run.id}", timeout=0)
        AgentRunSensor(task_id="deferrable", run_id="{run.id}", timeout=0, deferrable=True)
    """)
    assert set(result.states.values()) == {"success"}


class TestInAFreshProcess:
    """
    A deferred sensor wakes as another object, in another process; ``dag.test()`` wakes the same one.

    Airflow wakes it by ``resume_execution``, with the trigger's event and what was given with the trigger.
    """

    @pytest.fixture
    def pending(self, agent_runs_emulator: Emulator) -> str:
        """Return the id of a run that waits for an answer."""
        run = agent_runs_emulator.service.create_run("needs_approval", business_id=BUSINESS)
        while not agent_runs_emulator.service.runs[run.id].interrupts:
            time.sleep(0.01)
        return run.id

    @staticmethod
    def sensor(run_id: str, **arguments: object) -> AgentRunSensor:
        return AgentRunSensor(
            task_id="wait",
            run_id=run_id,
            wait_for="completed",
            deferrable=True,
            allow_nested_operators=True,
            **arguments,
        )

    def test_the_wait_ends_when_it_was_to_end(self, pending: str) -> None:
        sensor = self.sensor(pending, timeout=timedelta(hours=1))
        before = time.time()
        with pytest.raises(TaskDeferred) as first:
            sensor.execute({})
        assert isinstance(first.value.trigger, AgentRunTrigger)
        end = first.value.trigger.end_time
        assert end is not None
        assert before + 3600 <= end <= time.time() + 3600
        # Longer than the trigger, which ends the wait by itself: no triggerer may run.
        assert timedelta(hours=1) < first.value.timeout < timedelta(hours=1, minutes=2)

        kwargs = {**first.value.kwargs, "event": {"run_id": pending, "status": "completed"}}
        with pytest.raises(TaskDeferred) as second:
            self.sensor(pending, timeout=timedelta(hours=1)).resume_execution(first.value.method_name, kwargs, {})
        assert second.value.trigger.end_time == end
        assert second.value.kwargs == first.value.kwargs

    def test_time_that_is_up(self, pending: str) -> None:
        event = {"run_id": pending, "error": "AgentRunTimeoutError", "message": "the time is up"}
        with pytest.raises(AgentRunTimeoutError, match="the time is up") as caught:
            self.sensor(pending).resume_execution("execute_complete", {"event": event, "deadline": 1.0}, {})
        assert isinstance(caught.value, AirflowSensorTimeout)
