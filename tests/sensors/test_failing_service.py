# SPDX-License-Identifier: Apache-2.0
"""A service that fails while a sensor waits does not end the wait; at the first look, it shows at once."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import AgentRunNotFoundError, AgentRunsError
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor
from tests.hooks.connections import connection_json
from tests.sensors.test_outcomes import BUSINESS
from tests.support.dag_runs import DagRunner
from tests.support.scripted_server import LOST, RESET_BEFORE, Received, Reply, ScriptedServer, answer, errors
from tests.support.wire import Wire

ENV = "AIRFLOW_CONN_AGENTRUNS_DEFAULT"


def run(status: str, **fields: Any) -> Reply:
    """Answer with a run in some status."""
    return answer({"id": "r-1", "status": status, "agent": "a", "thread_id": "t-1", **fields})


class Story:
    """Answers by the path: each has replies of its own, the last of which lasts."""

    def __init__(self, **replies: Iterable[Reply]) -> None:
        self._replies = {name: self._lasting(list(these)) for name, these in replies.items()}

    def __call__(self, request: Received) -> Reply:
        return next(self._replies[request.path.rpartition("/")[2]])

    @staticmethod
    def _lasting(replies: list[Reply]) -> Iterator[Reply]:
        return itertools.chain(replies, itertools.repeat(replies[-1]))


def test_only_the_first_look_fails_the_task(run_dag: DagRunner, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    story = Story(
        unlucky=[errors(503, "Down for a moment"), run("completed")],
        # In all modes the first failures come while the sensor waits; a deferred one is woken in between.
        patient=[run("running"), LOST, errors(500, "Down"), run("completed"), errors(502, "Down"), run("completed")],
    )
    with ScriptedServer(story) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        result = run_dag(f"""
            AgentRunSensor(task_id="unlucky", run_id="unlucky", {mode})
            AgentRunSensor(task_id="patient", run_id="patient", {mode})
        """)
        assert result.states == {"unlucky": "failed", "patient": "success"}
        assert len(server.seen("GET", "/v1/runs/unlucky")) == 1
        assert len(server.seen("GET", "/v1/runs/patient")) >= 4
    assert "AgentRunsServerError: GET /v1/runs/unlucky returned 503: Down for a moment" in result.log
    assert result.log.count("Cannot read agent run patient; still waiting") >= 2


def test_another_try_of_the_task_finds_a_service_that_is_back(
    run_dag: DagRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer(Story(unlucky=[errors(503, "Down for a moment"), run("completed")])) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        result = run_dag("""
            AgentRunSensor(task_id="wait", run_id="unlucky", retries=1, retry_delay=timedelta(0))
        """)
    assert (result.states, result.tries) == ({"wait": "success"}, {"wait": 2})


def test_a_broken_line_does_not_end_a_wait(
    agent_runs_emulator: Emulator, run_dag: DagRunner, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    service = agent_runs_emulator.service
    run_id = service.create_run("needs_approval", business_id=BUSINESS).id
    path = f"/v1/runs/{run_id}"
    with Wire(agent_runs_emulator.url) as wire:

        def looks(more_than: int) -> int:
            while wire.count("GET", path) <= more_than:
                time.sleep(0.01)
            return wire.count("GET", path)

        def break_the_line_then_answer() -> None:
            seen = looks(0)
            wire.once("GET", path, "lose the request")
            wire.once("GET", path, "lose the answer")
            looks(seen + 2)
            service.answer(run_id, service.runs[run_id].interrupts[0]["id"], "approve")

        fate = threading.Thread(target=break_the_line_then_answer, daemon=True)
        fate.start()
        monkeypatch.setenv(ENV, connection_json(wire.url))
        result = run_dag(f"""
            AgentRunSensor(task_id="wait", run_id="{run_id}", wait_for="completed", timeout=30, {mode})
        """)
        fate.join(5)
    assert result.states == {"wait": "success"}
    assert result.log.count(f"Cannot read agent run {run_id}; still waiting") == 2


class TestDeferred:
    """What may have become of the run by the time that a deferred sensor wakes."""

    def test_a_run_that_was_answered_meanwhile_is_waited_for_again(
        self, run_dag: DagRunner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = run("interrupted", interrupts=[{"id": "int_1", "value": {"label": "Shall it?"}}])
        story = Story(busy=[run("running"), asked, run("running"), run("running"), run("completed")])
        with ScriptedServer(story) as server:
            monkeypatch.setenv(ENV, connection_json(server.url))
            result = run_dag("""
                AgentRunSensor(task_id="wait", run_id="busy", deferrable=True, poke_interval=0.1)
            """)
            # The sensor, the trigger, the sensor as it wakes; the trigger twice, and the sensor again.
            assert len(server.requests) == 6
        assert result.states == {"wait": "success"}
        assert (result.xcom("wait")["status"], result.xcom("wait")["interrupts"]) == ("completed", [])

    @pytest.mark.parametrize("failure", [errors(503, "Down"), RESET_BEFORE], ids=["503", "reset"])
    def test_a_service_that_fails_when_a_fresh_process_wakes(
        self, monkeypatch: pytest.MonkeyPatch, failure: Reply
    ) -> None:
        with ScriptedServer([failure]) as server:
            monkeypatch.setenv(ENV, connection_json(server.url))
            with pytest.raises(TaskDeferred) as caught:
                wake(status="completed")
        assert caught.value.trigger.end_time == DEADLINE

    def test_a_run_that_is_gone_when_it_wakes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with ScriptedServer([errors(404, "There is no run r-1")]) as server:
            monkeypatch.setenv(ENV, connection_json(server.url))
            with pytest.raises(AgentRunNotFoundError):
                wake(error="AgentRunNotFoundError", message="gone")

    def test_what_only_the_triggerer_meets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with ScriptedServer([run("running")]) as server:
            monkeypatch.setenv(ENV, connection_json(server.url))
            said = "triggerer cannot read agent run r-1, although this worker can. AgentRunsAuthError: no"
            with pytest.raises(AgentRunsError, match=said) as caught:
                wake(error="AgentRunsAuthError", message="no")
        assert not isinstance(caught.value, AirflowFailException)


DEADLINE = time.time() + 3600


def wake(**event: str) -> object:
    """Wake a sensor as Airflow does, in a process where nothing of its earlier life is left."""
    sensor = AgentRunSensor(task_id="wait", run_id="r-1", deferrable=True, allow_nested_operators=True)
    return sensor.resume_execution("execute_complete", {"event": {"run_id": "r-1", **event}, "deadline": DEADLINE}, {})
