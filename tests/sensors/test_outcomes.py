# SPDX-License-Identifier: Apache-2.0
"""What a wait comes to, in each mode: the value that is handed on, or the failure."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.scripts import Ask, Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.dag_runs import DagRunner

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"
NO_RUN = "00000000-0000-4000-8000-000000000000"

#: A task that starts a run, so that it works at the sensor's first look.
START = f"""
        @task
        def start(agent):
            from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
            return AgentRunHook().create_run(agent, business_id="{BUSINESS}").id
"""


def works(case: Case) -> ScriptBody:
    """Works for 0.6 s at the speed of the fixture."""
    yield Work(12, "work", "Works")
    return [{"title": "Done", "type": "report"}]


def asks(case: Case) -> ScriptBody:
    """Asks two questions at once, one of which does not say who asks."""
    yield Ask([{"agent": "helper", "label": "Shall it?"}, {"label": "Must it?", "more": [1, None, {"a": True}]}])
    return []


def handed_on(run: Run) -> dict[str, Any]:
    """Return what a sensor should hand on, by what the service itself says."""
    interrupts = [{"agent": None, **interrupt} for interrupt in run.interrupts]
    return {
        "run_id": run.id,
        "status": run.status,
        "agent": run.agent,
        "thread_id": run.thread_id,
        "interrupts": interrupts,
    }


@pytest.mark.agent_runs(agents={"works": works, "asks": asks})
def test_the_value_says_what_the_run_has_come_to(agent_runs_emulator: Emulator, run_dag: DagRunner, mode: str) -> None:
    service = agent_runs_emulator.service
    waiting = {agent: service.create_run(agent, business_id=BUSINESS) for agent in ("needs_approval", "two_questions")}
    waiting["asks"] = service.create_run("asks", business_id=BUSINESS)
    result = run_dag(f"""{START}
        AgentRunSensor(task_id="works", run_id=start("works"), {mode})
        AgentRunSensor(task_id="needs_approval", run_id="{waiting["needs_approval"].id}", {mode})
        AgentRunSensor(task_id="two_questions", run_id="{waiting["two_questions"].id}", {mode})
        AgentRunSensor(task_id="asks", run_id="{waiting["asks"].id}", {mode})
    """)
    assert result.state == "success"
    for agent, run in waiting.items():
        assert result.xcom(agent) == handed_on(run)
    assert [len(result.xcom(agent)["interrupts"]) for agent in waiting] == [1, 2, 2]
    assert [interrupt["agent"] for interrupt in result.xcom("asks")["interrupts"]] == ["helper", None]
    waited_for = service.runs[result.xcom("start")]
    assert result.xcom("works") == handed_on(waited_for)
    assert (waited_for.status, result.xcom("works")["interrupts"]) == ("completed", [])
    assert {request.query for request in agent_runs_emulator.requests} == {""}


def breaks(case: Case) -> ScriptBody:
    """Works for 0.4 s, and ends as an error."""
    yield Work(8, "work", "Works")
    raise ValueError("broken")


@pytest.mark.agent_runs(agents={"breaks": breaks})
def test_a_run_that_fails_or_is_unknown_fails_the_task_at_once(
    agent_runs_emulator: Emulator, run_dag: DagRunner, mode: str
) -> None:
    run = agent_runs_emulator.service.create_run("fails", business_id=BUSINESS)
    again = "retries=2, retry_delay=timedelta(0)"
    result = run_dag(f"""{START}
        AgentRunSensor(task_id="failed", run_id="{run.id}", {again}, {mode})
        AgentRunSensor(task_id="breaks", run_id=start("breaks"), {again}, {mode})
        AgentRunSensor(task_id="unknown", run_id="{NO_RUN}", {again}, {mode})
        AgentRunSensor(task_id="awaited", run_id="{run.id}", wait_for="error", {mode})
    """)
    sensors = {"failed": "failed", "breaks": "failed", "unknown": "failed", "awaited": "success"}
    assert result.states == {"start": "success", **sensors}
    assert {task: result.tries[task] for task in sensors} == dict.fromkeys(sensors, 1)
    where = "the step 'The company registry cannot be reached' (registry_error)"
    assert f"AgentRunFailedError: Agent run {run.id} of fails ended in error at {where}" in result.log
    assert f"AgentRunFailedError: Agent run {result.xcom('start')} of breaks ended in error at the step" in result.log
    assert f"AgentRunNotFoundError: GET /v1/runs/{NO_RUN} returned 404: There is no run" in result.log
    assert agent_runs_emulator.count("GET", f"/v1/runs/{NO_RUN}") == 1
    assert result.xcom("awaited") == handed_on(run)
    assert (run.status, result.xcom("awaited")["interrupts"]) == ("error", [])
    assert "return_value" not in result.xcoms["failed"]


def test_an_interrupt_that_is_not_awaited_is_left_to_somebody_else(
    agent_runs_emulator: Emulator, run_dag: DagRunner, mode: str
) -> None:
    service = agent_runs_emulator.service
    run = service.create_run("needs_approval", business_id=BUSINESS)
    path = f"/v1/runs/{run.id}"
    looks_before_answer = 0

    def answer_once_it_was_seen() -> None:
        nonlocal looks_before_answer
        while not (service.runs[run.id].interrupts and agent_runs_emulator.count("GET", path) >= 2):
            time.sleep(0.02)
        looks_before_answer = agent_runs_emulator.count("GET", path)
        service.answer(run.id, run.interrupts[0]["id"], "approve")

    person = threading.Thread(target=answer_once_it_was_seen, daemon=True)
    person.start()
    result = run_dag(f"""
        AgentRunSensor(task_id="wait", run_id="{run.id}", wait_for=["completed"], timeout=20, {mode})
    """)
    person.join(5)
    assert result.states == {"wait": "success"}
    assert (result.xcom("wait")["status"], result.xcom("wait")["interrupts"]) == ("completed", [])
    assert agent_runs_emulator.count("GET", path) > looks_before_answer >= 2


def test_a_run_that_ended_otherwise_than_awaited_fails_the_task(
    agent_runs_emulator: Emulator, run_dag: DagRunner
) -> None:
    run = agent_runs_emulator.service.create_run("instant", business_id=BUSINESS)
    result = run_dag(f"""
        AgentRunSensor(task_id="wait", run_id="{run.id}", wait_for=["interrupted", "error"])
    """)
    assert result.states == {"wait": "failed"}
    said = f"Agent run {run.id} is completed, and can no longer become interrupted or error"
    assert f"AgentRunFailedError: {said}" in result.log
