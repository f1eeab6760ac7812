# SPDX-License-Identifier: Apache-2.0
"""Waiting and starting with scheduler, workers, and triggerer in separate processes."""

from __future__ import annotations

from airflow_provider_agentruns.emulator.server import Emulator
from tests.standalone.people import Review, decisions, interrupted
from tests.support.airflow_versions import HAS_STATE_STORE, needs_state_store
from tests.support.client_killer import ClientKiller
from tests.support.standalone import Standalone


def test_a_deferred_wait_is_in_the_triggerer_and_links_to_the_run(airflow: Standalone, emulator: Emulator) -> None:
    run_id, [question] = interrupted(airflow, emulator, "needs_approval")
    dag_run = airflow.start_dag("patient", {"run_id": run_id})

    def trigger() -> str | None:
        ti = airflow.task_instance("patient", dag_run, "output")
        return ti["trigger"]["classpath"] if ti["state"] == "deferred" and ti["trigger"] else None

    classpath = airflow.wait_for(trigger, "defer the task")
    assert classpath == "airflow_provider_agentruns.triggers.agent_run.AgentRunTrigger"
    links = airflow.call("GET", f"/dags/patient/dagRuns/{dag_run}/taskInstances/output/links")
    assert links["extra_links"] == {"Agent run": f"https://example.com/runs/{run_id}"}
    emulator.service.answer(run_id, question["id"], {"decision": "approve"})
    airflow.wait_for_dag("patient", dag_run)
    assert airflow.xcom("patient", dag_run, "output") == emulator.service.get_run(run_id).output


def test_a_worker_killed_right_after_the_start_leaves_one_run(
    airflow: Standalone, emulator: Emulator, killer: ClientKiller
) -> None:
    killer.kill_next("POST", "/v1/runs")
    before = set(emulator.service.runs)
    dag_run = airflow.start_dag("start")
    airflow.wait_for_dag("start", dag_run)
    [run_id] = [new for new in set(emulator.service.runs) - before if emulator.service.runs[new].agent == "slow"]
    assert airflow.task_instance("start", dag_run, "review")["try_number"] >= 2
    assert airflow.xcom("start", dag_run, "review", "run_id") == run_id
    assert airflow.xcom("start", dag_run, "review") == emulator.service.runs[run_id].output


@needs_state_store  # Without a store, a cleared task uses a run that has ended.
def test_a_cleared_task_without_its_record_uses_its_run_while_that_is_active(
    airflow: Standalone, emulator: Emulator
) -> None:
    dag_run = airflow.start_dag("start_only")
    task = Review(airflow, "start_only", dag_run)
    task.wait_for_dag()
    run_id = task.xcom("run_id")
    # As Airflow does with [state_store] clear_on_success.
    state = f"/dags/start_only/dagRuns/{dag_run}/taskInstances/review/state-store"
    airflow.call("DELETE", state)
    task.clear()
    task.wait_for_dag()
    assert (task.ti["try_number"], task.xcom("run_id")) == (2, run_id)
    [question] = emulator.service.get_run(run_id).interrupts
    emulator.service.answer(run_id, question["id"], {"decision": "approve"})
    airflow.wait_for(lambda: emulator.service.get_run(run_id).status == "completed", "complete the run")
    airflow.call("DELETE", state)
    task.clear()
    task.wait_for_dag()
    assert task.ti["try_number"] == 3
    assert task.xcom("run_id") != run_id


def test_a_worker_killed_right_after_the_answer_leaves_one_answer(
    airflow: Standalone, emulator: Emulator, killer: ClientKiller
) -> None:
    run_id, [question] = interrupted(airflow, emulator, "needs_approval")
    killer.kill_next("POST", f"/v1/runs/{run_id}/resume")
    dag_run = airflow.start_dag("answer", {"run_id": run_id, "interrupt_id": question["id"]})
    # Without a state store, the next try does not know whose answer the agent has received.
    airflow.wait_for_dag("answer", dag_run, "success" if HAS_STATE_STORE else "failed")
    assert emulator.count("POST", f"/v1/runs/{run_id}/resume") == 1
    assert decisions(emulator, run_id) == [(question["id"], "approve")]
    assert airflow.task_instance("answer", dag_run, "answer")["try_number"] >= 2
    if HAS_STATE_STORE:
        expected = {"run_id": run_id, "status": "completed", "interrupt_id": question["id"]}
        assert airflow.xcom("answer", dag_run, "answer") == expected
