# SPDX-License-Identifier: Apache-2.0
"""The example DAGs with reviews succeed when people approve. Only the reminder waits seconds instead of hours."""

from __future__ import annotations

from uuid import uuid4

from airflow_provider_agentruns.emulator.server import Emulator
from tests.standalone.people import Review, answers
from tests.support.airflow_versions import FORM_STATE
from tests.support.standalone import Standalone

PIPELINE = "example_agent_run_pipeline"
POLICY = "example_agent_run_review_policy"
REMINDER = "example_agent_run_review_reminder"
STARTED = ("example_agent_run_review", "example_agent_run_review_rounds", POLICY, REMINDER, PIPELINE)
#: The DAG with the reviews of the pipeline.
REVIEWS = "example_agent_run_reviews"


def reviews(airflow: Standalone, dag_id: str, dag_run: str) -> set[Review]:
    return {
        Review(airflow, dag_id, dag_run, ti["task_id"], ti["map_index"])
        for ti in airflow.task_instances(dag_id, dag_run)
        if ti["task_id"].rpartition(".")[2].startswith("review") and ti["state"] == FORM_STATE
    }


def test_the_examples_succeed_when_people_approve(airflow: Standalone, emulator: Emulator) -> None:
    airflow.unpause(REVIEWS)
    # Before Airflow 3.3, a retry takes an equal run that another DAG run has started at the same time.
    dag_runs = {dag_id: airflow.start_dag(dag_id, {"business_id": str(uuid4())}) for dag_id in STARTED}
    reminder = Review(airflow, REMINDER, dag_runs[REMINDER], "remind")
    reminder.wait_for("success")
    assert reminder.xcom() == "reminded"

    answered: set[Review] = set()

    def everything_has_ended() -> bool:
        for started in airflow.call("GET", f"/dags/{REVIEWS}/dagRuns")["dag_runs"]:
            dag_runs[REVIEWS] = started["dag_run_id"]
        for dag_id, dag_run in dag_runs.items():
            for asked in reviews(airflow, dag_id, dag_run) - answered:
                asked.shown()
                asked.answer("Approve")
                answered.add(asked)
        states = [airflow.dag_run_state(dag_id, dag_run) for dag_id, dag_run in dag_runs.items()]
        return REVIEWS in dag_runs and {"queued", "running"}.isdisjoint(states)

    airflow.wait_for(everything_has_ended, "finish the examples", 600)
    for dag_id, dag_run in dag_runs.items():
        airflow.wait_for_dag(dag_id, dag_run)
    for dag_id in STARTED:
        run_id = airflow.xcom(dag_id, dag_runs[dag_id], "start", "run_id")
        assert len(answers(emulator, run_id)) == len(emulator.service.runs[run_id].questions)
    assert airflow.xcom(PIPELINE, dag_runs[PIPELINE], "output") == emulator.service.runs[run_id].output
    # The policy decides one of the questions.
    people = [asked for asked in answered if asked.dag_id == POLICY]
    assert 0 < len(people) < len(answers(emulator, airflow.xcom(POLICY, dag_runs[POLICY], "start", "run_id")))
