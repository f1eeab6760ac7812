# SPDX-License-Identifier: Apache-2.0
"""The task group that waits for a run, lets people review what it asks, and returns its output."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup, task, task_group
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.models import AgentRun
from airflow_provider_agentruns.operators.agent_run import review_rounds
from airflow_provider_agentruns.operators.review_rounds import (
    ReviewRoundSensor,
    ReviewRoundsOutputOperator,
    open_questions,
)
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor
from airflow_provider_agentruns.text import digest
from tests.support.airflow_names import DagSerialization
from tests.support.dag_runs import DagRunner
from tests.support.run_task import TaskRun, run_task
from tests.support.scripted_server import Received, Reply, ScriptedServer, answer

BEFORE, AT, LATER = (f"2026-01-31T12:00:0{second}+00:00" for second in range(3))

TWO_ROUNDS = {
    "g.wait_1": set(),
    "g.review_1": {"g.wait_1"},
    "g.wait_2": {"g.wait_1", "g.review_1"},
    "g.review_2": {"g.wait_1", "g.wait_2"},
    "g.output": {"g.wait_1", "g.review_1", "g.review_2"},
}


def empty_dag(**arguments: Any) -> DAG:
    return DAG("rounds", schedule=None, start_date=datetime(2026, 1, 1), **arguments)


def edges(dag: Any) -> dict[str, set[str]]:
    return {task_id: set(found.upstream_task_ids) for task_id, found in dag.task_dict.items()}


def made(dag: DAG, task_id: str) -> Any:
    found = dag.task_dict[task_id]
    return found.unmap({"interrupt": "int-1"}) if isinstance(found, MappedOperator) else found


def test_two_rounds_are_five_tasks_between_their_neighbors() -> None:
    @task
    def start() -> str:
        return "r-1"

    @task
    def report(output: Any) -> None: ...

    with empty_dag() as dag:
        group = review_rounds("g", start(), 2)
        report(group.output)
    # Only the first task depends on the task before the group: if a branch skips that, the whole group is skipped.
    expected = {**TWO_ROUNDS, "start": set(), "g.wait_1": {"start"}, "report": {"g.output"}}
    stored = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert edges(dag) == edges(stored) == expected
    with empty_dag() as dag, TaskGroup("outer"):
        group = review_rounds("g", "r-1")
    assert group.output.operator.task_id == "outer.g.output"


@pytest.mark.parametrize(
    ("defaults", "arguments", "tries"),
    [({}, {}, 3), ({"retries": 0}, {}, 0), ({"retries": 4}, {}, 4), ({"retries": 4}, {"retries": 1}, 1)],
)
def test_all_tasks_have_retries_unless_the_author_sets_a_number(
    defaults: dict[str, Any], arguments: dict[str, Any], tries: int
) -> None:
    with empty_dag(default_args=defaults) as dag:
        review_rounds("g", "r-1", 1, **arguments)
    assert {name: found.retries for name, found in dag.task_dict.items()} == dict.fromkeys(dag.task_dict, tries)
    assert made(dag, "g.review_1").retries == tries
    with empty_dag(), TaskGroup("outer", default_args=defaults) as group:
        review_rounds("g", "r-1", 1, **arguments)
    assert {found.retries for found in group.iter_tasks()} == {tries}


def test_tasks_that_an_author_adds_to_the_group_get_no_arguments_of_the_package() -> None:
    with empty_dag(), review_rounds("g", "r-1", 1, retries=5, agentruns_conn_id="other"):
        notify = EmptyOperator(task_id="notify")
        other_run = AgentRunSensor(task_id="other_run", run_id="r-2")
    assert (notify.retries, other_run.retries, other_run.agentruns_conn_id) == (0, 0, "agentruns_default")
    with empty_dag(), review_rounds("g", "r-1", 1):
        assert EmptyOperator(task_id="notify").retries == 0


def test_a_mapped_task_group_is_rejected_with_an_explanation() -> None:
    @task_group
    def each(run_id: str) -> None:
        review_rounds("g", run_id)

    with empty_dag(), pytest.raises(AgentRunsValueError, match=r"inside a mapped task group.*TriggerDagRunOperator"):
        each.expand(run_id=["r-1", "r-2"])


def serve(*states: tuple[str, list[str]]) -> Callable[[Received], Reply]:
    """Serve a run in these states, the last one permanently: the status, and the IDs of its interrupts."""
    left = list(states)

    def reply(request: Received) -> Reply:
        status, pending = left.pop(0) if len(left) > 1 else left[0]
        interrupts = [{"id": name, "agent": "a", "value": {"label": name}} for name in pending]
        run = {"object": "run", "id": "r-1", "agent": "a", "updated_at": AT, "status": status}
        return answer({**run, "interrupts": interrupts, "output": {"artifacts": []} if status == "completed" else None})

    return reply


def run_served(
    monkeypatch: pytest.MonkeyPatch, states: list[tuple[str, list[str]]], make: Callable[[], Any]
) -> TaskRun:
    monkeypatch.setattr("airflow_provider_agentruns.operators.review_rounds.time.sleep", lambda seconds: None)
    with ScriptedServer(serve(*states)) as server:
        monkeypatch.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", f"agentruns://:t0ken@127.0.0.1:{server.port}/http")
        return run_task(make)


def answered(interrupt_id: str, value: Any, at: str | None = AT) -> dict[str, Any]:
    """Return the part of a trail that counts."""
    return {"interrupt_id": interrupt_id, "question": digest(value), "run_updated_at": at}


ONE = [answered("i-1", "Right?")]


def run_that_asks(*interrupts: tuple[str, str], status: str = "interrupted", at: str | None = AT) -> AgentRun:
    """Return a run that asks these questions, each an ID and a value."""
    asked = [{"id": name, "value": value} for name, value in interrupts]
    return AgentRun.model_validate({"id": "r-1", "status": status, "updated_at": at, "interrupts": asked})


@pytest.mark.parametrize(
    ("shown", "trails", "expected"),
    [
        (run_that_asks(("i-1", "Right?")), [], ["i-1"]),
        (run_that_asks(status="completed"), ONE, []),
        (run_that_asks(("i-1", "Right?")), ONE, None),
        (run_that_asks(("i-1", "Right?"), at=None), ONE, None),
        (run_that_asks(("i-1", "Right?"), ("i-2", "And this?")), ONE, ["i-2"]),
        (run_that_asks(("i-1", "a"), ("i-2", "b"), ("i-1", "a")), [], ["i-1", "i-2"]),
        # An agent can use an ID again, and ask the same question again.
        (run_that_asks(("i-1", "Really?")), ONE, ["i-1"]),
        (run_that_asks(("i-1", "Right?"), at=LATER), ONE, ["i-1"]),
        # Older than the last answer.
        (run_that_asks(("i-2", "And this?"), at=BEFORE), ONE, None),
        (run_that_asks(status="running", at=BEFORE), ONE, None),
        (run_that_asks(status="completed", at=BEFORE), ONE, []),
        # Responses differ in precision, and trails of an earlier version have no time.
        (run_that_asks(("i-2", "And this?")), [answered("i-1", "Right?", "2026-01-31T12:00:01.999+00:00")], ["i-2"]),
        (run_that_asks(("i-1", "Right?"), ("i-2", "And this?")), [{"interrupt_id": "i-1"}], ["i-1", "i-2"]),
        (run_that_asks(("i-2", "b")), [answered("i-1", "a"), answered("i-2", "b", LATER)], None),
        (run_that_asks(("i-2", "And this?")), [answered("i-1", "Right?", None)], ["i-2"]),
        # Interrupted before the question appears.
        (run_that_asks(), [], None),
        (run_that_asks(), ONE, None),
    ],
)
def test_only_what_is_open_is_asked(shown: AgentRun, trails: list[Any], expected: list[str] | None) -> None:
    found = open_questions(shown, trails)
    assert (found if found is None else [one.id for one in found]) == expected


ANSWERED = [[answered("i-1", {"label": "i-1"})]]
OUTDATED = ("interrupted", ["i-1"])


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        ([("interrupted", []), ("interrupted", []), ("interrupted", ["i-2"])], ["i-2"]),
        ([OUTDATED, ("interrupted", ["i-1", "i-2"])], ["i-2"]),
    ],
)
def test_a_round_asks_only_what_is_open(
    monkeypatch: pytest.MonkeyPatch, states: list[tuple[str, list[str]]], asked: list[str]
) -> None:
    done = run_served(monkeypatch, states, lambda: ReviewRoundSensor(task_id="wait_2", run_id="r-1", answered=ANSWERED))
    assert (done.state, [one["id"] for one in done.value]) == ("success", asked)


def test_a_group_whose_run_still_asks_fails_without_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [("interrupted", ["i-2"])]
    done = run_served(monkeypatch, states, lambda: ReviewRoundsOutputOperator(task_id="output", run_id="r-1"))
    assert done.state == "failed"
    assert isinstance(done.error, AirflowFailException)
    assert "waits for a person after the last round: 'i-2' (interrupt i-2)" in str(done.error)
    # Unlike the operator, the group has no argument on_interrupt.
    assert "on_interrupt" not in str(done.error)


def test_the_output_ignores_a_question_that_is_answered_already(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_served(
        monkeypatch,
        [OUTDATED, OUTDATED, ("completed", [])],
        lambda: ReviewRoundsOutputOperator(task_id="output", run_id="r-1", answered=ANSWERED),
    )
    assert (done.state, done.value) == ("success", {"artifacts": []})


def test_an_interrupted_run_that_shows_no_question_fails_the_round(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_served(monkeypatch, [("interrupted", [])], lambda: ReviewRoundSensor(task_id="wait_1", run_id="r-1"))
    # Skipping all rounds would ask nobody.
    assert done.state == "failed"
    assert "or no question, so nobody was asked" in str(done.error)


def test_wrong_arguments_are_rejected() -> None:
    with empty_dag() as dag, pytest.raises(AgentRunsValueError, match="rounds should be at least 1, not 0"):
        review_rounds("g", "r-1", 0)
    assert dag.tasks == []
    with empty_dag(), pytest.raises(TypeError, match="optons"):
        review_rounds("g", "r-1", 1, optons=["Yes"])


def test_arguments_reach_the_tasks_and_win_over_default_args() -> None:
    def decide(interrupt: Any) -> None: ...

    defaults = {"retries": 4, "agentruns_conn_id": "other", "poke_interval": 99, "timeout": 98, "deferrable": True}
    with empty_dag(default_args=defaults) as dag:
        review_rounds(
            *("g", "r-1", 2),
            artifact_type="report",
            poke_interval=7,
            options=["Yes", "No"],
            decide=decide,
            response_timeout=timedelta(days=1),
        )
    tasks = {name: made(dag, f"g.{name}") for name in ("wait_1", "wait_2", "review_1", "review_2", "output")}
    for found in tasks.values():
        assert (found.agentruns_conn_id, found.deferrable, found.retries) == ("other", True, 4)
    for number in (1, 2):
        wait, review = tasks[f"wait_{number}"], tasks[f"review_{number}"]
        assert (float(wait.poke_interval), float(wait.timeout)) == (7.0, 98.0)
        assert (review.options, review.decide, review.response_timeout) == (["Yes", "No"], decide, timedelta(days=1))
    assert (tasks["output"].artifact_type, tasks["output"].poll_interval) == ("report", 7.0)


def test_the_timeout_also_limits_the_wait_after_the_last_round() -> None:
    with empty_dag() as dag:
        review_rounds("g", "r-1", 1, timeout=timedelta(minutes=1))
    assert [made(dag, f"g.{name}").timeout for name in ("wait_1", "output")] == [60.0, 60.0]


def test_zero_one_or_many_interrupts_in_each_round(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    # A policy answers in place of people, for whom dag.test() cannot wait.
    result = run_dag(
        """
        for agent in ("instant", "two_questions", "two_rounds"):
            start = AgentRunOperator(task_id=agent, agent=agent, business_id="b-1", wait_for=())
            run_id = start.output["run_id"]
            review_rounds(f"{agent}_rounds", run_id, 2, decide=lambda interrupt: "Approve", poke_interval=0.1)
        """
    )
    states = {
        agent: {
            task_id.removeprefix(f"{agent}_rounds."): state
            for task_id, state in result.states.items()
            if task_id.startswith(f"{agent}_rounds.")
        }
        for agent in ("instant", "two_questions", "two_rounds")
    }
    done = {"wait_1": "success", "output": "success"}
    second_skipped = {"wait_2": "success", "review_2": "skipped"}
    all_skipped = dict.fromkeys(("review_1", "wait_2", "review_2"), "skipped")
    assert states == {
        "instant": done | all_skipped,
        "two_questions": done | {"review_1[0]": "success", "review_1[1]": "success"} | second_skipped,
        "two_rounds": done | {"review_1[0]": "success", "wait_2": "success", "review_2[0]": "success"},
    }
    for agent in states:
        [run] = [run for run in agent_runs_emulator.service.runs.values() if run.agent == agent]
        assert result.xcom(f"{agent}_rounds.output") == run.output
