# SPDX-License-Identifier: Apache-2.0
"""Waiting as it is in production: scheduler, workers and triggerer, each a process of its own."""

from __future__ import annotations

import time

from airflow_provider_agentruns.emulator.server import Emulator
from tests.standalone.conftest import TOKEN
from tests.support.standalone import Standalone

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"
MODES = ("poke", "reschedule", "deferrable")


def test_all_modes_see_the_same_and_only_poke_holds_a_worker(airflow: Standalone, emulator: Emulator) -> None:
    run = emulator.service.create_run("two_questions", business_id=BUSINESS)
    dag_run = airflow.start_dag("modes", {"run_id": run.id})
    airflow.wait_for_dag("modes", dag_run)
    values = [airflow.xcom("modes", dag_run, mode) for mode in MODES]
    assert values[0]["status"] == "interrupted"
    assert len(values[0]["interrupts"]) == 2
    assert values == [values[0]] * 3


def test_a_deferred_wait_is_in_the_triggerer_and_links_to_the_run(airflow: Standalone, emulator: Emulator) -> None:
    before = set(emulator.service.runs)
    dag_run = airflow.start_dag("start")
    states = set()
    while airflow.dag_run_state("start", dag_run) not in ("success", "failed"):
        ti = airflow.task_instance("start", dag_run, "review")
        if ti["state"] == "deferred" and ti["trigger"]:
            states.add(ti["trigger"]["classpath"])
        time.sleep(0.1)
    assert states == {"airflow_provider_agentruns.triggers.agent_run.AgentRunTrigger"}
    [run_id] = set(emulator.service.runs) - before
    links = airflow.call("GET", f"/dags/start/dagRuns/{dag_run}/taskInstances/review/links")
    assert links["extra_links"] == {"Agent run": f"https://example.com/runs/{run_id}"}
    # By the trigger, and not again by the worker that it woke.
    assert airflow.task_log("start", dag_run, "review").count(f"Agent run {run_id} is completed") == 1


def test_the_token_is_in_nothing_that_airflow_writes(airflow: Standalone) -> None:
    """After the tests above, which have used it for all that the package does."""
    written = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert any(path.name == "airflow.db" for path in written)
    assert any(path.suffix == ".log" for path in written)
    assert [path for path in written if TOKEN.encode() in path.read_bytes()] == []
