# SPDX-License-Identifier: Apache-2.0
"""The tasks of a group that sees a run through, and what lies between them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup, XComArg, task, task_group
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.operators.agent_run import (
    AgentRunOutputOperator,
    AgentRunReviewOperator,
    review_rounds,
)
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor
from tests.support.airflow_names import DagSerialization


def empty_dag(**arguments: Any) -> DAG:
    """Return a DAG without tasks."""
    return DAG("rounds", schedule=None, start_date=datetime(2026, 1, 1), **arguments)


def edges(dag: Any) -> dict[str, set[str]]:
    """Return what each task of a DAG comes after."""
    return {task_id: set(found.upstream_task_ids) for task_id, found in dag.task_dict.items()}


def stored(dag: DAG) -> Any:
    """Return the DAG as the scheduler has it."""
    return DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))


def made(dag: DAG, task_id: str) -> Any:
    """Return a task, or one of those that a mapped one becomes."""
    found = dag.task_dict[task_id]
    return found.unmap({"interrupt": "int-1"}) if isinstance(found, MappedOperator) else found


TWO_ROUNDS = {
    "g.wait_1": set(),
    "g.interrupts_1": {"g.wait_1"},
    "g.review_1": {"g.wait_1", "g.interrupts_1"},
    "g.wait_2": {"g.wait_1", "g.review_1"},
    "g.interrupts_2": {"g.wait_2"},
    "g.review_2": {"g.wait_1", "g.interrupts_2"},
    "g.output": {"g.wait_1", "g.review_2"},
}


def test_two_rounds_are_seven_tasks_one_after_the_other() -> None:
    with empty_dag() as dag:
        review_rounds("g", "r-1", 2)
    assert edges(dag) == TWO_ROUNDS
    assert edges(stored(dag)) == TWO_ROUNDS


@pytest.mark.parametrize("rounds", [1, 3, 10])
def test_there_are_as_many_rounds_as_asked_for(rounds: int) -> None:
    with empty_dag() as dag:
        review_rounds("g", "r-1", rounds)
    numbers = range(1, rounds + 1)
    assert set(dag.task_dict) == {
        *(f"g.{name}_{number}" for name in ("wait", "interrupts", "review") for number in numbers),
        "g.output",
    }
    assert dag.task_dict["g.output"].upstream_task_ids == {"g.wait_1", f"g.review_{rounds}"}


def test_by_default_there_are_three() -> None:
    with empty_dag() as dag:
        review_rounds("g", "r-1")
    assert len(dag.tasks) == 10


@pytest.mark.parametrize("rounds", [0, -1])
def test_no_rounds_are_refused_and_leave_no_task_behind(rounds: int) -> None:
    with empty_dag() as dag, pytest.raises(AgentRunsValueError, match=f"rounds should be at least 1, not {rounds}"):
        review_rounds("g", "r-1", rounds)
    assert dag.tasks == []


def test_each_task_is_what_its_name_says() -> None:
    with empty_dag() as dag:
        review_rounds("g", "r-1", 1)
    kinds = {"g.wait_1": AgentRunSensor, "g.review_1": AgentRunReviewOperator, "g.output": AgentRunOutputOperator}
    assert {task_id: type(made(dag, task_id)) for task_id in kinds} == kinds
    assert isinstance(dag.task_dict["g.review_1"], MappedOperator)


def test_only_the_output_comes_about_where_later_rounds_are_skipped() -> None:
    with empty_dag() as dag:
        review_rounds("g", "r-1", 2)
    assert {task_id: str(found.trigger_rule) for task_id, found in stored(dag).task_dict.items()} == {
        **dict.fromkeys(TWO_ROUNDS, "all_success"),
        "g.output": "none_failed_min_one_success",
    }


def test_the_interrupts_of_what_was_waited_for_are_what_is_reviewed() -> None:
    with empty_dag() as dag:
        review_rounds("g", "r-1", 1)
    asked = [{"id": "int-1"}, {"id": "int-2"}]
    assert dag.task_dict["g.interrupts_1"].python_callable({"run_id": "r-1", "interrupts": asked}) == asked
    mapped = dag.task_dict["g.review_1"].expand_input.value
    assert [(name, arg.operator.task_id) for name, arg in mapped.items()] == [("interrupt", "g.interrupts_1")]


def test_its_output_is_that_of_its_last_task_and_goes_on_from_there() -> None:
    @task
    def report(output: dict[str, Any]) -> None: ...

    with empty_dag() as dag:
        group = review_rounds("g", "r-1", 1)
        report(group.output)
    assert isinstance(group.output, XComArg)
    assert (group.output.operator.task_id, group.output.key) == ("g.output", "return_value")
    assert edges(dag)["report"] == {"g.output"}


def test_tasks_before_and_behind_the_group_touch_its_ends_only() -> None:
    @task
    def before() -> None: ...

    @task
    def behind() -> None: ...

    with empty_dag() as dag:
        before() >> review_rounds("g", "r-1", 2) >> behind()
    assert edges(dag) == {**TWO_ROUNDS, "before": set(), "behind": {"g.output"}, "g.wait_1": {"before"}}


def test_the_run_of_another_task_is_known_to_the_first_task_and_by_it_to_the_others() -> None:
    @task
    def start() -> str:
        return "r-1"

    with empty_dag() as dag:
        review_rounds("g", start(), 2)
    # Where a branch skips the first, nothing else of the group may run.
    assert edges(dag) == {**TWO_ROUNDS, "start": set(), "g.wait_1": {"start"}}


def test_what_is_given_reaches_the_tasks_it_is_for() -> None:
    def decide(interrupt: Any) -> None: ...

    with empty_dag() as dag:
        review_rounds(
            *("g", "r-1", 2),
            agentruns_conn_id="other",
            artifact_type="report",
            deferrable=True,
            poke_interval=7,
            timeout=timedelta(hours=1),
            options=["Yes", "No"],
            decide=decide,
            response_timeout=timedelta(days=1),
        )
    tasks = {name: made(dag, f"g.{name}") for name in ("wait_1", "wait_2", "review_1", "review_2", "output")}
    assert {found.agentruns_conn_id for found in tasks.values()} == {"other"}
    assert {found.deferrable for found in tasks.values()} == {True}
    for number in (1, 2):
        wait, review = tasks[f"wait_{number}"], tasks[f"review_{number}"]
        assert (float(wait.poke_interval), float(wait.timeout)) == (7.0, 3600.0)
        assert (review.options, review.decide, review.response_timeout) == (["Yes", "No"], decide, timedelta(days=1))
    assert tasks["output"].artifact_type == "report"


def test_what_no_review_takes_is_refused_when_the_dag_is_made() -> None:
    with empty_dag(), pytest.raises(TypeError, match="optons"):
        review_rounds("g", "r-1", 1, optons=["Yes"])


@pytest.mark.parametrize("wrong", [{"subject": "Right?"}, {"options": []}, {"defaults": "Later"}])
def test_a_form_that_cannot_be_is_refused_when_a_review_is_made(wrong: dict[str, Any]) -> None:
    # Airflow makes mapped tasks no earlier.
    with empty_dag() as dag:
        review_rounds("g", "r-1", 1, **wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        made(dag, "g.review_1")


def test_in_another_group_its_tasks_are_named_after_both() -> None:
    with empty_dag() as dag, TaskGroup("outer"):
        group = review_rounds("g", "r-1", 2)
    outer = {f"outer.{task_id}": {f"outer.{one}" for one in before} for task_id, before in TWO_ROUNDS.items()}
    assert edges(dag) == edges(stored(dag)) == outer
    assert (group.group_id, group.output.operator.task_id) == ("outer.g", "outer.g.output")


def test_two_groups_in_one_dag_are_apart() -> None:
    with empty_dag() as dag:
        review_rounds("g", "r-1", 2)
        review_rounds("h", "r-2", 2)
    other = {
        task_id.replace("g.", "h."): {one.replace("g.", "h.") for one in TWO_ROUNDS[task_id]} for task_id in TWO_ROUNDS
    }
    assert edges(dag) == {**TWO_ROUNDS, **other}


def test_a_dags_default_arguments_hold_in_it_and_what_is_given_wins() -> None:
    defaults = {"retries": 4, "owner": "compliance", "agentruns_conn_id": "other", "poke_interval": 99}
    with empty_dag(default_args=defaults) as dag:
        review_rounds("g", "r-1", 1, agentruns_conn_id="given", poke_interval=7)
    for task_id in ("g.wait_1", "g.interrupts_1", "g.review_1", "g.output"):
        found = made(dag, task_id)
        assert (found.retries, found.owner) == (4, "compliance"), task_id
        assert getattr(found, "agentruns_conn_id", "given") == "given", task_id
    assert made(dag, "g.wait_1").poke_interval == 7
    assert edges(stored(dag)) == edges(dag)


@pytest.mark.parametrize(
    ("name", "value"), [("agentruns_conn_id", "other"), ("poke_interval", 99), ("timeout", 99), ("deferrable", True)]
)
def test_a_dags_default_arguments_hold_in_it_for_what_is_ours(name: str, value: Any) -> None:
    with empty_dag(default_args={name: value}) as dag:
        review_rounds("g", "r-1", 1)
    assert getattr(dag.task_dict["g.wait_1"], name) == value


def test_in_a_mapped_group_reviews_cannot_be_mapped_again() -> None:
    # Airflow maps no task inside a group that is mapped itself.
    @task_group
    def each(run_id: str) -> None:
        review_rounds("g", run_id, 1)

    with empty_dag(), pytest.raises(NotImplementedError, match="operator expansion in an expanded task group"):
        each.expand(run_id=["r-1", "r-2"])
