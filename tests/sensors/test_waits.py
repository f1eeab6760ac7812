# SPDX-License-Identifier: Apache-2.0
"""The result of a wait in each mode: the XCom value, or the failure."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from airflow.sdk.bases.sensor import PokeReturnValue
from airflow.sdk.execution_time.timeout import timeout as airflow_timeout

from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.script_steps import Ask, Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import (
    AgentRunFailedError,
    AgentRunNotFoundError,
    AgentRunsAuthError,
    AgentRunsConfigError,
    AgentRunsError,
    AgentRunsServerError,
    AgentRunTimeoutError,
)
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor
from tests.hooks.connections import connection_json
from tests.support import BUSINESS
from tests.support.dag_runs import DagRunner
from tests.support.run_task import TaskRun, run_task
from tests.support.scripted_server import LOST, RESET_BEFORE, Received, Reply, Serve, answer, errors

NO_RUN = "00000000-0000-4000-8000-000000000000"


MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke", "poke_interval": 0.05},
    "reschedule": {"mode": "reschedule", "poke_interval": 0.05},
    "deferrable": {"deferrable": True, "poke_interval": 0.05},
}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the arguments of a sensor for one mode; the test runs in each of the three."""
    return MODES[request.param]


def wait(run_id: str, **arguments: Any) -> TaskRun:
    return run_task(lambda: AgentRunSensor(task_id="wait", run_id=run_id, **arguments))


def asks(case: Case) -> ScriptBody:
    yield Ask([{"agent": "helper", "label": "Shall it?"}, {"label": "Must it?", "more": [1, None, {"a": True}]}])
    return []


def breaks(case: Case) -> ScriptBody:
    """Works for 0.4 s, and ends as an error."""
    yield Work(8, "work", "Works")
    raise ValueError("broken")


def expected(run: Run) -> dict[str, Any]:
    """Return the XCom value by the service's own state."""
    interrupts = [{"agent": None, **interrupt} for interrupt in run.interrupts]
    common = {"run_id": run.id, "status": run.status, "agent": run.agent, "thread_id": run.thread_id}
    return {**common, "interrupts": interrupts}


@pytest.mark.agent_runs(agents={"asks": asks})
def test_the_value_describes_the_run(agent_runs_emulator: Emulator, mode: dict[str, Any]) -> None:
    create = agent_runs_emulator.service.create_run
    for agent, interrupts in (("slow", 0), ("needs_approval", 1), ("asks", 2)):
        run = create(agent, business_id=BUSINESS)
        task = wait(run.id, **mode)
        assert task.state == "success"
        assert task.value == expected(run)
        assert len(task.value["interrupts"]) == interrupts
        assert task.xcoms["run_id"] == run.id
    assert {request.query for request in agent_runs_emulator.requests} == {""}


@pytest.mark.agent_runs(agents={"breaks": breaks})
def test_a_failed_or_unknown_run_fails_the_task_without_retries(
    agent_runs_emulator: Emulator, mode: dict[str, Any]
) -> None:
    create = agent_runs_emulator.service.create_run
    run = create("fails", business_id=BUSINESS)
    again: dict[str, Any] = {"retries": 2, **mode}
    failed, breaking, unknown = (
        wait(it, **again) for it in (run.id, create("breaks", business_id=BUSINESS).id, NO_RUN)
    )
    assert [task.try_number for task in (failed, breaking, unknown)] == [1, 1, 1]
    assert isinstance(failed.error, AgentRunFailedError)
    assert f"Agent run {run.id} of fails ended in error at the step" in str(failed.error)
    assert "(registry_error)" in str(failed.error)
    assert "of breaks ended in error at the step" in str(breaking.error)
    assert isinstance(unknown.error, AgentRunNotFoundError)
    assert agent_runs_emulator.count("GET", f"/v1/runs/{NO_RUN}") == 1
    awaited = wait(run.id, wait_for="error", **mode)
    assert awaited.value == expected(run)


def test_an_interrupt_that_is_not_awaited_is_left_to_others(
    agent_runs_emulator: Emulator, mode: dict[str, Any]
) -> None:
    service = agent_runs_emulator.service
    run = service.create_run("needs_approval", business_id=BUSINESS)
    path = f"/v1/runs/{run.id}"
    reads_before_answer = 0

    def answer_after_two_reads() -> None:
        nonlocal reads_before_answer
        while not (service.runs[run.id].interrupts and agent_runs_emulator.count("GET", path) >= 2):
            time.sleep(0.02)
        reads_before_answer = agent_runs_emulator.count("GET", path)
        service.answer(run.id, run.interrupts[0]["id"], "approve")

    person = threading.Thread(target=answer_after_two_reads, daemon=True)
    person.start()
    task = wait(run.id, wait_for=["completed"], timeout=20, **mode)
    person.join(5)
    assert (task.state, task.value["status"], task.value["interrupts"]) == ("success", "completed", [])
    assert agent_runs_emulator.count("GET", path) > reads_before_answer >= 2


def test_timeout_and_soft_fail(agent_runs_emulator: Emulator, mode: dict[str, Any]) -> None:
    create = agent_runs_emulator.service.create_run
    pending, failed = (create(agent, business_id=BUSINESS).id for agent in ("needs_approval", "fails"))
    late: dict[str, Any] = {"wait_for": "completed", "timeout": timedelta(seconds=0.2), **mode}
    timed_out = wait(pending, retries=2, **late)
    assert (timed_out.state, timed_out.try_number) == ("failed", 1)
    assert isinstance(timed_out.error, AgentRunTimeoutError)
    assert pending in str(timed_out.error)
    assert wait(pending, soft_fail=True, **late).state == "skipped"
    assert wait(failed, soft_fail=True, **mode).state == "skipped"
    assert wait(failed, never_fail=True, **mode).state == "skipped"


def test_soft_fail_does_not_skip_what_says_nothing_about_the_run(
    agent_runs_emulator: Emulator, mode: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", connection_json("ftp://127.0.0.1"))
    run_id = agent_runs_emulator.service.create_run("instant", business_id=BUSINESS).id
    soft: dict[str, Any] = {"soft_fail": True, "retries": 1, **mode}
    unknown = wait(NO_RUN, **soft)
    unconfigured = wait(run_id, agentruns_conn_id="wrong", **soft)
    agent_runs_emulator.faults.add("401", "GET", "/v1/runs/.*")
    rejected = wait(run_id, **soft)
    assert [task.state for task in (unknown, unconfigured, rejected)] == ["failed"] * 3
    assert [task.try_number for task in (unknown, unconfigured, rejected)] == [1] * 3
    assert isinstance(unknown.error, AgentRunNotFoundError)
    assert isinstance(unconfigured.error, AgentRunsConfigError)
    assert isinstance(rejected.error, AgentRunsAuthError)


def test_poke_needs_no_task_instance(agent_runs_emulator: Emulator) -> None:
    create = agent_runs_emulator.service.create_run
    waited = AgentRunSensor(task_id="wait", run_id=create("instant", business_id=BUSINESS).id).poke({})
    assert isinstance(waited, PokeReturnValue)
    assert waited.xcom_value["status"] == "completed"
    assert AgentRunSensor(task_id="wait", run_id=create("slow", business_id=BUSINESS).id).poke({}) is False


def run(status: str, **fields: Any) -> Reply:
    return answer({"id": "r-1", "status": status, "agent": "a", "thread_id": "t-1", **fields})


def story(*replies: Reply) -> Callable[[Received], Reply]:
    """Respond with these replies in order, and repeat the last one."""
    left = itertools.chain(replies, itertools.repeat(replies[-1]))
    return lambda request: next(left)


def test_only_the_first_read_fails_the_task(serve: Serve, mode: dict[str, Any]) -> None:
    server = serve(story(errors(503, "Down for a moment"), run("completed")))
    assert isinstance(wait("r-1", **mode).error, AgentRunsServerError)
    assert len(server.requests) == 1
    # Another try finds the service available again.
    assert wait("r-1", **mode).state == "success"
    down = (LOST, errors(500, "Down"), run("completed"), errors(502, "Down"), run("completed"))
    server = serve(story(run("running"), *down))
    assert wait("r-1", **mode).state == "success"
    assert len(server.requests) >= 4


DEADLINE = time.time() + 3600


def sensor(**arguments: Any) -> AgentRunSensor:
    return AgentRunSensor(task_id="wait", run_id="r-1", deferrable=True, allow_nested_operators=True, **arguments)


def resume(**event: str) -> object:
    """Resume a sensor in a process that knows nothing of its beginning."""
    return sensor().resume_execution(
        "execute_complete", {"event": {"run_id": "r-1", **event}, "deadline": DEADLINE}, {}
    )


class TestDeferred:
    """The state of the run when a deferred sensor resumes, in another process."""

    def test_a_run_that_was_answered_meanwhile_is_awaited_again(self, serve: Serve) -> None:
        asked = run("interrupted", interrupts=[{"id": "int_1", "value": {"label": "Shall it?"}}])
        serve(story(run("running"), asked, run("running"), run("running"), run("completed")))
        task = wait("r-1", deferrable=True, poke_interval=0.05)
        assert [event["status"] for event in task.events] == ["interrupted", "completed"]
        assert (task.value["status"], task.value["interrupts"]) == ("completed", [])

    @pytest.mark.parametrize("failure", [errors(503, "Down"), RESET_BEFORE], ids=["503", "reset"])
    def test_a_service_that_fails_at_that_moment(self, serve: Serve, failure: Reply) -> None:
        serve([failure])
        with pytest.raises(TaskDeferred) as caught:
            resume(status="completed")
        assert caught.value.trigger.end_time == DEADLINE

    @pytest.mark.parametrize(
        ("reply", "error", "kind", "message"),
        [
            (errors(404, "There is no run r-1"), "AgentRunNotFoundError", AgentRunNotFoundError, "no run r-1"),
            (
                run("running"),
                "AgentRunsAuthError",
                AgentRunsError,
                "triggerer cannot read agent run r-1.*AuthError: it",
            ),
            (run("running"), "AgentRunTimeoutError", AgentRunTimeoutError, "it failed"),
        ],
    )
    def test_an_error_in_the_triggerer(
        self, serve: Serve, reply: Reply, error: str, kind: type[Exception], message: str
    ) -> None:
        serve([reply])
        with pytest.raises(kind, match=message) as caught:
            resume(error=error, message="it failed")
        # An error that only the triggerer has is worth another try. A timeout follows soft_fail.
        assert isinstance(caught.value, AirflowFailException) is (kind is AgentRunNotFoundError)
        assert isinstance(caught.value, AirflowSensorTimeout) is (kind is AgentRunTimeoutError)

    @pytest.mark.parametrize("limit", ["timeout", "execution_timeout"])
    def test_the_deadline_stays(self, serve: Serve, limit: str) -> None:
        serve([run("running")] * 2)
        before = time.time()
        limits = {"timeout": timedelta(hours=2), limit: timedelta(hours=1)}
        with pytest.raises(TaskDeferred) as first:
            sensor(watch="stream", **limits).execute({})
        end = first.value.trigger.end_time
        assert before + 3600 <= end <= time.time() + 3600
        assert first.value.trigger.watch == "stream"
        # Longer than the trigger's own time, in case no triggerer is running.
        assert timedelta(hours=1) < first.value.timeout < timedelta(hours=1, minutes=2)
        kwargs = {**first.value.kwargs, "event": {"run_id": "r-1", "status": "completed"}}
        with pytest.raises(TaskDeferred) as second:
            sensor(**limits).resume_execution(first.value.method_name, kwargs, {})
        assert (second.value.trigger.end_time, second.value.kwargs) == (end, first.value.kwargs)

    def test_a_task_that_a_newer_version_deferred_continues(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        serve([run("completed")])
        kwargs = {"event": {"run_id": "r-1", "status": "completed"}, "deadline": None, "newer": 1}
        assert sensor().resume_execution("execute_complete", kwargs, {})["status"] == "completed"
        assert "Ignoring unknown arguments of a deferred task: ['newer']" in caplog.text

    @pytest.mark.parametrize(
        ("arguments", "state", "tries", "error"),
        [
            ({}, "failed", 2, AirflowTaskTimeout),
            ({"timeout": 0.1}, "failed", 1, AgentRunTimeoutError),
            # As if it had passed on a worker.
            ({"soft_fail": True}, "skipped", 1, AirflowSkipException),
        ],
    )
    def test_execution_timeout_ends_the_wait(
        self, agent_runs_emulator: Emulator, arguments: dict[str, Any], state: str, tries: int, error: type
    ) -> None:
        run = agent_runs_emulator.service.create_run("needs_approval", business_id=BUSINESS)
        limit = timedelta(seconds=0.3)
        task = wait(run.id, wait_for="completed", deferrable=True, retries=1, execution_timeout=limit, **arguments)
        assert (task.state, task.try_number, type(task.error).__name__) == (state, tries, error.__name__)


def test_execution_timeout_with_soft_fail_skips_the_task_in_mode_poke(agent_runs_emulator: Emulator) -> None:
    run = agent_runs_emulator.service.create_run("needs_approval", business_id=BUSINESS)
    sensor = AgentRunSensor(task_id="wait", run_id=run.id, wait_for="completed", soft_fail=True, poke_interval=600)
    with pytest.raises(AirflowSkipException), airflow_timeout(2):
        sensor.execute({})


def test_all_modes_and_sources_of_the_run_id_in_a_dag_run(
    agent_runs_emulator: Emulator, run_dag: DagRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"{agent_runs_emulator.connection_uri}&run_url=https%3A%2F%2Fapp.example.com%2Fruns%2F%7Brun_id%7D"
    monkeypatch.setenv("AIRFLOW_CONN_WITH_PAGE", uri)
    create = agent_runs_emulator.service.create_run
    done, failed = (create(agent, business_id=BUSINESS).id for agent in ("instant", "fails"))
    result = run_dag(
        f"""
        @task
        def start():
            from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
            return AgentRunHook().create_run("slow", business_id="{BUSINESS}").id

        @task
        def nothing():
            pass

        page = dict(agentruns_conn_id="{{{{ 'with_' + 'page' }}}}", poke_interval=0.1)
        run_id = start()
        AgentRunSensor(task_id="poke", run_id=run_id, **page)
        AgentRunSensor(task_id="reschedule", run_id=run_id, mode="reschedule", **page)
        AgentRunSensor(task_id="deferrable", run_id=run_id, deferrable=True, **page)
        AgentRunSensor(task_id="template", run_id="{{{{ dag_run.conf['run_id'] }}}}")
        AgentRunSensor.partial(task_id="mapped").expand(run_id=["{done}", "{done}"])
        AgentRunSensor(task_id="failed", run_id="{failed}", retries=2, retry_delay=timedelta(0), **page)
        AgentRunSensor(task_id="lost", run_id=nothing(), retries=2, retry_delay=timedelta(0))
        AgentRunSensor(task_id="nowhere", run_id="{done}", agentruns_conn_id="nowhere")
        """,
        run_id=done,
    )
    started = result.xcom("start")
    for name in ("poke", "reschedule", "deferrable"):
        assert (result.xcom(name)["run_id"], result.xcom(name)["status"]) == (started, "completed")
        assert result.xcom(name, "_link_AgentRunLink") == f"https://app.example.com/runs/{started}"
    assert {result.xcom(name)["run_id"] for name in ("template", "mapped[0]", "mapped[1]")} == {done}
    assert result.xcom("template", "_link_AgentRunLink") == ""
    assert result.xcom("failed", "_link_AgentRunLink") == f"https://app.example.com/runs/{failed}"
    ended = {name: (result.states[name], result.tries[name]) for name in ("failed", "lost", "nowhere")}
    assert ended == dict.fromkeys(ended, ("failed", 1))
    assert "AgentRunsValueError: run_id is None" in result.log
    assert "AgentRunsConfigError: Airflow has no connection 'nowhere'" in result.log
