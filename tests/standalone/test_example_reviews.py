# SPDX-License-Identifier: Apache-2.0
"""The example DAGs in which people take part, as they stand but for the reminder's patience."""

from __future__ import annotations

from airflow_provider_agentruns.emulator.server import Emulator
from tests.standalone.people import Review, answers, interrupted
from tests.support.standalone import Standalone


def run_of(airflow: Standalone, dag_id: str, dag_run: str, task_id: str = "start") -> str:
    """Return the id of the agent run that a DAG run has started."""
    airflow.wait_for(
        lambda: airflow.task_instance(dag_id, dag_run, task_id)["state"] == "success", f"{dag_id}.{task_id}", 60
    )
    return str(airflow.xcom(dag_id, dag_run, task_id, "run_id"))


def test_one_review(airflow: Standalone, emulator: Emulator) -> None:
    dag_id = "example_agent_run_review"
    dag_run = airflow.start_dag(dag_id)
    run_id = run_of(airflow, dag_id, dag_run)
    asked = Review(airflow, dag_id, dag_run)
    asked.shown()
    asked.answer("Approve", reason="The papers are in order")
    airflow.wait_for_dag(dag_id, dag_run)
    [(_, sent)] = answers(emulator, run_id)
    assert (sent["decision"], sent["fields"]) == ("approve", {"reason": "The papers are in order"})
    assert airflow.xcom(dag_id, dag_run, "output") == emulator.service.runs[run_id].output


def test_rounds(airflow: Standalone, emulator: Emulator) -> None:
    dag_id = "example_agent_run_review_rounds"
    dag_run = airflow.start_dag(dag_id)
    run_id = run_of(airflow, dag_id, dag_run)
    for index in range(2):
        asked = Review(airflow, dag_id, dag_run, "reviewed.review_1", index)
        asked.shown()
        asked.answer("Approve")
    airflow.wait_for_dag(dag_id, dag_run)
    assert len(answers(emulator, run_id)) == 2
    assert len(airflow.xcom(dag_id, dag_run, "report")) == len(emulator.service.runs[run_id].output["artifacts"])


def test_policy_first_and_person_second(airflow: Standalone, emulator: Emulator) -> None:
    dag_id = "example_agent_run_review_policy"
    dag_run = airflow.start_dag(dag_id)
    run_id = run_of(airflow, dag_id, dag_run)
    airflow.wait_for(lambda: emulator.service.get_run(run_id).interrupts, "questions", 20)
    certain = [
        artifact["confidence"] == "high"
        for question in emulator.service.get_run(run_id).interrupts
        for artifact in question["value"]["artifacts"]
    ]
    for index, is_certain in enumerate(certain):
        asked = Review(airflow, dag_id, dag_run, "reviewed.review_1", index)
        if is_certain:
            asked.wait_for("success")
        else:
            asked.shown()
            asked.answer("Reject")
    airflow.wait_for_dag(dag_id, dag_run)
    by = [airflow.xcom(dag_id, dag_run, "reviewed.review_1", "trail", index)["by"] for index in range(len(certain))]
    assert by == ["policy" if is_certain else "person" for is_certain in certain]
    assert set(certain) == {True, False}


def test_a_reminder(airflow: Standalone, emulator: Emulator) -> None:
    dag_id = "example_agent_run_review_reminder"
    run_id, _ = interrupted(airflow, emulator, "needs_approval")
    dag_run = airflow.start_dag(dag_id, {"run_id": run_id})
    asked = Review(airflow, dag_id, dag_run)
    asked.shown()
    assert f"You are asked: {airflow.url}/dags/{dag_id}" in asked.log()
    remind = Review(airflow, dag_id, dag_run, "remind")
    remind.wait_for("success")
    assert remind.xcom() == "reminded"
    asked.answer("Approve")
    airflow.wait_for_dag(dag_id, dag_run)


def test_one_desk_for_all_pipelines(airflow: Standalone, emulator: Emulator) -> None:
    pipeline, desk = "example_agent_run_pipeline", "example_agent_run_review_desk"
    airflow.call("PATCH", f"/dags/{desk}", json={"is_paused": False})
    dag_run = airflow.start_dag(pipeline)
    run_id = run_of(airflow, pipeline, dag_run)
    desk_runs = airflow.wait_for(
        lambda: airflow.call("GET", f"/dags/{desk}/dagRuns")["dag_runs"], "the desk to be started", 60
    )
    asked = Review(airflow, desk, desk_runs[0]["dag_run_id"], "reviewed.review_1", 0)
    asked.shown()
    asked.answer("Approve")
    airflow.wait_for_dag(desk, desk_runs[0]["dag_run_id"])
    airflow.wait_for_dag(pipeline, dag_run)
    assert len(answers(emulator, run_id)) == 1
    assert airflow.xcom(pipeline, dag_run, "output") == emulator.service.runs[run_id].output
