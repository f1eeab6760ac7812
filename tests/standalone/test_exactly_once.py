# SPDX-License-Identifier: Apache-2.0
"""Workers are killed at the worst moment; the service sees each request once."""

from __future__ import annotations

from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.airflow_versions import needs_state_store, without_state_store
from tests.support.standalone import Standalone
from tests.support.wire import Wire

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"


def asked(airflow: Standalone, emulator: Emulator) -> tuple[str, str]:
    """Start a run on the service, and return its id and that of its question."""
    run = emulator.service.create_run("needs_approval", business_id=BUSINESS)
    airflow.wait_for(lambda: emulator.service.get_run(run.id).interrupts, "a question", 10)
    return run.id, emulator.service.get_run(run.id).interrupts[0]["id"]


def killed_with_the_answer(airflow: Standalone, emulator: Emulator, wire: Wire, expected: str) -> tuple[str, str, str]:
    """Have a worker killed right after its answer, which the service gets once; return run, interrupt and DAG run."""
    run_id, interrupt_id = asked(airflow, emulator)
    wire.once("POST", ".*/resume", "kill the client before its answer")
    dag_run = airflow.start_dag("answer", {"run_id": run_id, "interrupt_id": interrupt_id})
    airflow.wait_for_dag("answer", dag_run, expected)
    assert wire.count("POST", f"/v1/runs/{run_id}/resume") == 1
    assert [answer.interrupt_id for answer in emulator.service.answers if answer.run_id == run_id] == [interrupt_id]
    return run_id, interrupt_id, dag_run


def test_a_worker_killed_right_after_the_start_leaves_one_run(
    airflow: Standalone, emulator: Emulator, wire: Wire
) -> None:
    before = set(emulator.service.runs)
    posted = wire.count("POST", "/v1/runs")
    wire.once("POST", "/v1/runs", "kill the client before its answer")
    dag_run = airflow.start_dag("start")
    airflow.wait_for_dag("start", dag_run)
    [run_id] = set(emulator.service.runs) - before
    assert wire.count("POST", "/v1/runs") == posted + 1
    assert airflow.task_instance("start", dag_run, "review")["try_number"] >= 2
    assert airflow.xcom("start", dag_run, "review", "run_id") == run_id
    assert airflow.xcom("start", dag_run, "review") == emulator.service.runs[run_id].output
    assert f"Agent run {run_id} (slow) was started by an earlier try" in airflow.task_log("start", dag_run, "review", 2)


@needs_state_store
def test_a_worker_killed_right_after_the_answer_leaves_one_answer(
    airflow: Standalone, emulator: Emulator, wire: Wire
) -> None:
    run_id, interrupt_id, dag_run = killed_with_the_answer(airflow, emulator, wire, "success")
    assert airflow.task_instance("answer", dag_run, "answer")["try_number"] >= 2
    assert airflow.xcom("answer", dag_run, "answer") == {
        "run_id": run_id,
        "status": "completed",
        "interrupt_id": interrupt_id,
    }
    assert "it is not sent again" in airflow.task_log("answer", dag_run, "answer", 2)


@without_state_store
def test_without_a_memory_a_worker_killed_right_after_the_answer_leaves_one_answer_and_fails(
    airflow: Standalone, emulator: Emulator, wire: Wire
) -> None:
    _, _, dag_run = killed_with_the_answer(airflow, emulator, wire, "failed")
    assert "somebody else may have answered it" in airflow.task_log("answer", dag_run, "answer", 2)


def test_an_answer_whose_response_is_lost_is_sent_once(airflow: Standalone, emulator: Emulator, wire: Wire) -> None:
    run_id, interrupt_id = asked(airflow, emulator)
    wire.once("POST", ".*/resume", "lose the answer")
    dag_run = airflow.start_dag("answer", {"run_id": run_id, "interrupt_id": interrupt_id})
    airflow.wait_for_dag("answer", dag_run)
    assert wire.count("POST", f"/v1/runs/{run_id}/resume") == 1
    assert airflow.task_instance("answer", dag_run, "answer")["try_number"] == 1
