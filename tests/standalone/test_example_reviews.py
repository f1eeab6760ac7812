# SPDX-License-Identifier: Apache-2.0
"""The example DAGs in which people take part; only the reminder waits for seconds instead of hours."""

from __future__ import annotations

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.standalone.people import Review, answers, interrupted
from tests.support.standalone import Standalone

ONE = "example_agent_run_review"
ROUNDS = "example_agent_run_review_rounds"
POLICY = "example_agent_run_review_policy"
REMINDER = "example_agent_run_review_reminder"
PIPELINE, DESK = "example_agent_run_pipeline", "example_agent_run_review_desk"


@pytest.fixture(scope="module")
def dag_runs(airflow: Standalone, emulator: Emulator) -> dict[str, str]:
    """Start all examples at once, because each spends most of its time waiting; return their DAG run IDs."""
    airflow.unpause(DESK)
    run_id, _ = interrupted(airflow, emulator, "needs_approval")
    started = {dag_id: airflow.start_dag(dag_id) for dag_id in (ONE, ROUNDS, POLICY, PIPELINE)}
    return {**started, REMINDER: airflow.start_dag(REMINDER, {"run_id": run_id})}


def agent_run_of(airflow: Standalone, dag_id: str, dag_run: str) -> str:
    """Return the ID of the agent run that a DAG run has started."""
    airflow.wait_for(
        lambda: airflow.task_instance(dag_id, dag_run, "start")["state"] == "success", f"run {dag_id}.start"
    )
    return str(airflow.xcom(dag_id, dag_run, "start", "run_id"))


def test_one_review(airflow: Standalone, emulator: Emulator, dag_runs: dict[str, str]) -> None:
    run_id = agent_run_of(airflow, ONE, dag_runs[ONE])
    asked = Review(airflow, ONE, dag_runs[ONE])
    asked.shown()
    asked.answer("Approve", reason="The papers are in order")
    asked.wait_for_dag()
    [(_, sent)] = answers(emulator, run_id)
    assert (sent["decision"], sent["fields"]) == ("approve", {"reason": "The papers are in order"})
    assert airflow.xcom(ONE, dag_runs[ONE], "output") == emulator.service.runs[run_id].output


def test_rounds(airflow: Standalone, emulator: Emulator, dag_runs: dict[str, str]) -> None:
    run_id = agent_run_of(airflow, ROUNDS, dag_runs[ROUNDS])
    reviews = [Review(airflow, ROUNDS, dag_runs[ROUNDS], "reviewed.review_1", index) for index in range(2)]
    for asked in reviews:
        asked.shown()
        asked.answer("Approve")
    airflow.wait_for_dag(ROUNDS, dag_runs[ROUNDS])
    assert len(answers(emulator, run_id)) == 2
    report = airflow.xcom(ROUNDS, dag_runs[ROUNDS], "report")
    assert len(report) == len(emulator.service.runs[run_id].output["artifacts"])


def test_a_policy_decides_first_and_people_second(
    airflow: Standalone, emulator: Emulator, dag_runs: dict[str, str]
) -> None:
    dag_run = dag_runs[POLICY]
    run_id = agent_run_of(airflow, POLICY, dag_run)
    airflow.wait_for(lambda: emulator.service.runs[run_id].questions, "see questions")
    certain = [
        artifact["confidence"] == "high"
        for question in emulator.service.runs[run_id].questions
        for artifact in question.value["artifacts"]
    ]
    assert set(certain) == {True, False}
    for index, is_certain in enumerate(certain):
        asked = Review(airflow, POLICY, dag_run, "reviewed.review_1", index)
        if is_certain:
            asked.wait_for("success")
        else:
            asked.shown()
            asked.answer("Reject")
    airflow.wait_for_dag(POLICY, dag_run)
    by = [airflow.xcom(POLICY, dag_run, "reviewed.review_1", "trail", index)["by"] for index in range(len(certain))]
    assert by == ["policy" if is_certain else "person" for is_certain in certain]


def test_a_reminder(airflow: Standalone, dag_runs: dict[str, str]) -> None:
    asked = Review(airflow, REMINDER, dag_runs[REMINDER])
    asked.shown()
    assert f"{airflow.url}/dags/{REMINDER}" in asked.log()
    remind = Review(airflow, REMINDER, dag_runs[REMINDER], "remind")
    remind.wait_for("success")
    assert remind.xcom() == "reminded"
    asked.answer("Approve")
    asked.wait_for_dag()


def test_one_desk_for_all_pipelines(airflow: Standalone, emulator: Emulator, dag_runs: dict[str, str]) -> None:
    run_id = agent_run_of(airflow, PIPELINE, dag_runs[PIPELINE])
    [desk_run] = airflow.wait_for(lambda: airflow.call("GET", f"/dags/{DESK}/dagRuns")["dag_runs"], "start the desk")
    asked = Review(airflow, DESK, desk_run["dag_run_id"], "reviewed.review_1", 0)
    asked.shown()
    asked.answer("Approve")
    asked.wait_for_dag()
    airflow.wait_for_dag(PIPELINE, dag_runs[PIPELINE])
    assert len(answers(emulator, run_id)) == 1
    assert airflow.xcom(PIPELINE, dag_runs[PIPELINE], "output") == emulator.service.runs[run_id].output
