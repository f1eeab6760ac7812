# SPDX-License-Identifier: Apache-2.0
"""``AgentRunOperator`` and ``AgentRunResumeOperator`` against the offline service, in both ways of waiting."""

from __future__ import annotations

import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pendulum
import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import (
    AgentRunFailedError,
    AgentRunInterruptedError,
    AgentRunInvalidRequestError,
    AgentRunNotFoundError,
    AgentRunsValueError,
    AgentRunTimeoutError,
)
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.operators.agent_run import AgentRunOperator, AgentRunResumeOperator
from airflow_provider_agentruns.outputs import run_summary
from tests.support import BUSINESS
from tests.support.dag_runs import DagRunner
from tests.support.run_task import TaskRun, run_task

deferrable_or_not = pytest.mark.parametrize("deferrable", [True, False])


def start(agent: str, **arguments: Any) -> TaskRun:
    arguments = {"business_id": BUSINESS, "poll_interval": 0.05, "retries": 2, **arguments}
    return run_task(lambda: AgentRunOperator(task_id="review", agent=agent, **arguments))


def answer_elsewhere(emulator: Emulator) -> None:
    """Answer two questions, as a person outside Airflow does."""
    end = time.monotonic() + 60
    while len(emulator.service.answers) < 2 and time.monotonic() < end:
        time.sleep(0.3)
        for run in list(emulator.service.runs.values()):
            for question in list(run.interrupts):
                emulator.service.answer(run.id, question["id"], {"decision": "approve"})


class TestStart:
    @deferrable_or_not
    def test_a_run_that_ends_in_error_fails_the_task_without_retries(
        self, agent_runs_emulator: Emulator, deferrable: bool
    ) -> None:
        task = start("fails", deferrable=deferrable)
        assert (task.state, task.try_number) == ("failed", 1)
        assert isinstance(task.error, AgentRunFailedError)
        assert "ended in error at the step" in str(task.error)
        assert agent_runs_emulator.count("POST", "/v1/runs") == 1

    @deferrable_or_not
    def test_an_interrupted_run_fails_the_task_and_retries_use_the_same_run(
        self, agent_runs_emulator: Emulator, deferrable: bool
    ) -> None:
        task = start("needs_approval", deferrable=deferrable)
        assert (task.state, task.try_number) == ("failed", 3)
        assert isinstance(task.error, AgentRunInterruptedError)
        [run] = agent_runs_emulator.service.runs.values()
        [question] = run.interrupts
        assert question["value"]["label"] in str(task.error)
        assert question["id"] in str(task.error)

    @deferrable_or_not
    def test_on_interrupt_wait_continues_until_someone_has_answered(
        self, agent_runs_emulator: Emulator, deferrable: bool
    ) -> None:
        with ThreadPoolExecutor() as pool:
            pool.submit(answer_elsewhere, agent_runs_emulator)
            task = start("two_rounds", deferrable=deferrable, on_interrupt="wait")
        assert task.state == "success"
        assert task.value["artifacts"]
        assert len(agent_runs_emulator.service.answers) == 2

    @deferrable_or_not
    def test_an_awaited_interrupt_returns_the_value_of_the_sensor(
        self, agent_runs_emulator: Emulator, deferrable: bool
    ) -> None:
        task = start("two_questions", deferrable=deferrable, wait_for=("completed", "interrupted"))
        [run_id] = agent_runs_emulator.service.runs
        assert task.value == run_summary(AgentRunHook().get_run(run_id))
        assert (task.value["status"], len(task.value["interrupts"])) == ("interrupted", 2)

    @pytest.mark.parametrize("wait_for", ["start", (), []], ids=str)
    def test_a_task_can_only_start_its_run(
        self, agent_runs_emulator: Emulator, wait_for: Collection[str] | str
    ) -> None:
        task = start("slow", deferrable=True, wait_for=wait_for)
        assert (task.value["status"], task.value["run_id"]) == ("running", task.xcoms["run_id"])
        assert agent_runs_emulator.count("GET", ".*") == 0

    @pytest.mark.agent_runs(speed=0.01)
    @deferrable_or_not
    def test_a_timeout_leaves_the_run_alone(self, agent_runs_emulator: Emulator, deferrable: bool) -> None:
        task = start("slow", deferrable=deferrable, timeout=0.3, retries=0)
        assert isinstance(task.error, AgentRunTimeoutError)
        assert [run.status for run in agent_runs_emulator.service.runs.values()] == ["running"]

    @pytest.mark.agent_runs(speed=0.01)
    def test_execution_timeout_ends_a_deferred_wait_and_a_retry_waits_for_the_same_run(
        self, agent_runs_emulator: Emulator
    ) -> None:
        task = start("slow", deferrable=True, execution_timeout=timedelta(seconds=0.3), timeout=60, retries=1)
        assert isinstance(task.error, AirflowTaskTimeout)
        assert str(task.error).startswith("execution_timeout (0:00:00.300000) has passed: agent run ")
        assert (task.try_number, len(agent_runs_emulator.service.runs)) == (2, 1)

    @pytest.mark.parametrize(
        ("agent", "business", "error"),
        [
            ("no_such_agent", BUSINESS, AgentRunNotFoundError),
            ("slow", "", AgentRunsValueError),
            ("", BUSINESS, AgentRunsValueError),
        ],
    )
    def test_a_run_that_cannot_be_started_uses_no_retries(
        self, agent_runs_emulator: Emulator, agent: str, business: str, error: type[Exception]
    ) -> None:
        task = start(agent, business_id=business)
        assert (task.state, task.try_number) == ("failed", 1)
        assert isinstance(task.error, error)
        assert not agent_runs_emulator.service.runs

    def test_the_search_begins_before_a_clear(self) -> None:
        task = AgentRunOperator(task_id="review", agent="slow", business_id=BUSINESS, retries=1)
        first, again = pendulum.datetime(2026, 8, 1), pendulum.datetime(2026, 8, 2)
        ti = SimpleNamespace(try_number=2, max_tries=2)
        # Clearing a DAG run that has ended sets a new start_date.
        dag_run = SimpleNamespace(run_after=first, start_date=again, clear_number=1)
        attempt = task.current_attempt({"ti": ti, "dag_run": dag_run})
        assert (attempt.was_cleared, attempt.earliest_start, attempt.restarted_at) == (True, first, again)
        dag_run = SimpleNamespace(run_after=first, start_date=again, clear_number=0)
        attempt = task.current_attempt({"ti": ti, "dag_run": dag_run})
        assert (attempt.earliest_start, attempt.restarted_at) == (again, None)

    def test_a_unit_test_needs_no_task_instance(self, agent_runs_emulator: Emulator) -> None:
        task = AgentRunOperator(task_id="start", agent="instant", business_id=BUSINESS, deferrable=False)
        assert task.execute({})["artifacts"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"wait_for": ("done",)}, "wait_for takes"),
            ({"on_interrupt": "ask"}, "on_interrupt"),
            ({"poll_interval": -1}, "poll_interval"),
            ({"timeout": "1h"}, "timeout"),
            ({"watch": "guess"}, 'watch should be "poll" or "stream"'),
            ({"output_path": "/data"}, r"output_path should be a URL such as .*, not '/data'"),
        ],
    )
    def test_wrong_arguments_are_rejected_at_once(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            AgentRunOperator(task_id="review", agent="slow", business_id=BUSINESS, **arguments)


def asked(emulator: Emulator, agent: str = "needs_approval") -> tuple[str, str]:
    run = emulator.service.create_run(agent, business_id=BUSINESS)
    while not (pending := emulator.service.get_run(run.id).interrupts):
        pass
    return run.id, pending[0]["id"]


def resume(run_id: str, interrupt_id: str, answer: Any = "approve", **arguments: Any) -> TaskRun:
    arguments = {"poll_interval": 0.05, "retries": 1, **arguments}
    ids = {"run_id": run_id, "interrupt_id": interrupt_id}
    return run_task(lambda: AgentRunResumeOperator(task_id="answer", input=answer, **ids, **arguments))


class TestResume:
    def test_only_the_named_interrupt_is_answered(self, agent_runs_emulator: Emulator) -> None:
        run_id, first = asked(agent_runs_emulator, "two_questions")
        second = agent_runs_emulator.service.get_run(run_id).interrupts[1]["id"]
        task = resume(run_id, second, {"decision": "approve"})
        assert task.value == {"run_id": run_id, "status": "interrupted", "interrupt_id": second}
        [given] = agent_runs_emulator.service.answers
        assert (given.run_id, given.interrupt_id, given.input) == (run_id, second, {"decision": "approve"})
        assert [question["id"] for question in agent_runs_emulator.service.get_run(run_id).interrupts] == [first]

    @deferrable_or_not
    def test_it_can_wait_after_the_answer(self, agent_runs_emulator: Emulator, deferrable: bool) -> None:
        task = resume(*asked(agent_runs_emulator), wait_for="completed", deferrable=deferrable)
        assert task.value["status"] == "completed"
        assert len(agent_runs_emulator.service.answers) == 1

    def test_an_answer_that_the_agent_rejects_uses_no_retries(self, agent_runs_emulator: Emulator) -> None:
        run_id, interrupt_id = asked(agent_runs_emulator)
        task = resume(run_id, interrupt_id, None)
        assert (task.state, task.try_number) == ("failed", 1)
        assert isinstance(task.error, AgentRunInvalidRequestError)
        assert agent_runs_emulator.count("POST", f"/v1/runs/{run_id}/resume") == 1

    def test_the_connection_sets_the_body(self, agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(
            "AIRFLOW_CONN_AGENTRUNS_DEFAULT",
            f'{{"conn_type": "agentruns", "host": "{agent_runs_emulator.url}", "password": "t0ken", "extra": '
            '{"resume_body": {"interrupt_id": "{interrupt_id}", "input": {"wrapped": "{input}"}}}}',
        )
        assert resume(*asked(agent_runs_emulator)).state == "success"
        assert [answer.input for answer in agent_runs_emulator.service.answers] == [{"wrapped": "approve"}]


def test_both_operators_in_a_dag_run(
    run_dag: DagRunner, agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = "run_url=https%3A%2F%2Fapp.example.com%2F%7Brun_id%7D"
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", f"{agent_runs_emulator.connection_uri}&{page}")
    monkeypatch.delenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT")
    run_id, interrupt_id = asked(agent_runs_emulator)
    result = run_dag.run_file(f"""
from datetime import datetime, timedelta
from airflow.sdk import DAG, task
from airflow_provider_agentruns.operators.agent_run import AgentRunOperator, AgentRunResumeOperator

defaults = {{"agentruns_conn_id": "other", "poll_interval": 0.1, "retries": 2, "retry_delay": timedelta(0)}}
with DAG("both", schedule=None, start_date=datetime(2026, 1, 1), default_args=defaults):
    @task
    def titles(output):
        return [artifact["title"] for artifact in output["artifacts"]]

    for name, deferrable in (("deferred", True), ("held", False)):
        review = AgentRunOperator(task_id=name, agent="slow", business_id="{BUSINESS}", deferrable=deferrable)
        titles.override(task_id=f"titles_{{name}}")(review.output)
    AgentRunOperator(task_id="fails", agent="fails", business_id="{BUSINESS}", deferrable=True)
    AgentRunOperator(task_id="only_starts", agent="instant", business_id="{BUSINESS}", wait_for="start")
    AgentRunResumeOperator(
        task_id="answer", run_id="{run_id}", interrupt_id="{interrupt_id}", input={{"decision": "approve"}},
        wait_for="completed", deferrable=True,
    )
""")
    for name in ("deferred", "held"):
        started = result.xcom(name, "run_id")
        headers = {"Authorization": f"Bearer {agent_runs_emulator.token}"}
        output = httpx.get(f"{agent_runs_emulator.url}/v1/runs/{started}", headers=headers).json()["output"]
        assert result.xcom(name) == output
        assert result.xcom(f"titles_{name}") == [artifact["title"] for artifact in output["artifacts"]]
    assert (result.states["fails"], result.tries["fails"]) == ("failed", 1)
    assert "During handling of the above exception" not in result.log
    assert result.xcom("answer") == {"run_id": run_id, "status": "completed", "interrupt_id": interrupt_id}
    assert agent_runs_emulator.count("POST", "/v1/runs") == 4
    page = f"https://app.example.com/{result.xcom('only_starts', 'run_id')}"
    assert result.xcom("only_starts", "_link_AgentRunLink") == page
