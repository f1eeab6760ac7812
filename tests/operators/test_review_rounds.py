# SPDX-License-Identifier: Apache-2.0
"""The task group that waits for a run, lets people review what it asks, and returns its output."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup, task
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.operators.agent_run import review_rounds
from tests.support.airflow_names import DagSerialization
from tests.support.dag_runs import DagRunner

TWO_ROUNDS = {
    "g.wait_1": set(),
    "g.interrupts_1": {"g.wait_1"},
    "g.review_1": {"g.wait_1", "g.interrupts_1"},
    "g.wait_2": {"g.wait_1", "g.review_1"},
    "g.interrupts_2": {"g.wait_2"},
    "g.review_2": {"g.wait_1", "g.interrupts_2"},
    "g.output": {"g.wait_1", "g.review_1", "g.review_2"},
}


def empty_dag(**arguments: Any) -> DAG:
    """Return a DAG without tasks."""
    return DAG("rounds", schedule=None, start_date=datetime(2026, 1, 1), **arguments)


def edges(dag: Any) -> dict[str, set[str]]:
    """Return the upstream tasks of each task."""
    return {task_id: set(found.upstream_task_ids) for task_id, found in dag.task_dict.items()}


def made(dag: DAG, task_id: str) -> Any:
    """Return a task, or an instance of a mapped task."""
    found = dag.task_dict[task_id]
    return found.unmap({"interrupt": "int-1"}) if isinstance(found, MappedOperator) else found


def test_two_rounds_are_seven_tasks_between_their_neighbors() -> None:
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
    assert tasks["output"].artifact_type == "report"


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
    done = {"wait_1": "success", "interrupts_1": "success", "output": "success"}
    second_skipped = {"wait_2": "success", "interrupts_2": "success", "review_2": "skipped"}
    all_skipped = dict.fromkeys(("review_1", "wait_2", "interrupts_2", "review_2"), "skipped")
    assert states == {
        "instant": done | all_skipped,
        "two_questions": done | {"review_1[0]": "success", "review_1[1]": "success"} | second_skipped,
        "two_rounds": done
        | {"review_1[0]": "success", "wait_2": "success", "interrupts_2": "success", "review_2[0]": "success"},
    }
    for agent in states:
        [run] = [run for run in agent_runs_emulator.service.runs.values() if run.agent == agent]
        assert result.xcom(f"{agent}_rounds.output") == run.output
