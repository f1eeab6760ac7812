# SPDX-License-Identifier: Apache-2.0
"""CeleryExecutor: workers and triggerers are killed, and each run is started once and answered once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fleet.celery_airflow import Fleet, running_fleet
from tests.scale.soak import business_ids, check_soak
from tests.standalone.people import interrupted

pytestmark = pytest.mark.standalone


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """
    Return the Airflow.

    :raises AssertionError: At the end, if the service has rejected many requests.
    """
    with running_fleet(tmp_path_factory.mktemp("fleet") / "airflow") as running:
        yield running
    statuses = [request.status for request in running.emulator.requests]
    print(f"{len(statuses)} requests, {statuses.count(429)} x 429")
    assert statuses.count(429) <= 0.05 * len(statuses)


def test_workers_killed_during_a_start_and_an_answer_start_and_answer_once(fleet: Fleet) -> None:
    airflow, emulator = fleet.airflow, fleet.emulator
    businesses = business_ids(8, seed=1)
    fleet.killer.kill_next("POST", "/v1/runs")
    dag_run = airflow.start_dag("soak", {"businesses": businesses})
    fleet.replace_killed_worker()
    [first, *_] = emulator.service.runs
    fleet.killer.kill_next("POST", f"/v1/runs/{first}/resume")
    fleet.replace_killed_worker()
    airflow.wait_for_dag("soak", dag_run, seconds=600)
    check_soak(airflow, emulator, dag_run, businesses)
    hosts = {ti["hostname"] for ti in airflow.task_instances("soak", dag_run) if ti["task_id"].startswith("case.")}
    assert hosts <= {"worker-1", "worker-2"}


def test_the_other_triggerer_takes_over_the_waits_of_a_killed_one(fleet: Fleet) -> None:
    airflow, emulator = fleet.airflow, fleet.emulator
    run_id, [question] = interrupted(airflow, emulator, "needs_approval")
    dag_run = airflow.start_dag("patient", {"run_id": run_id})

    def triggerer() -> str | None:
        ti = airflow.task_instance("patient", dag_run, "output")
        job = ti.get("triggerer_job")
        return job["hostname"] if ti["state"] == "deferred" and job else None

    killed = airflow.wait_for(triggerer, "run the trigger")
    airflow.kill(killed)
    other = airflow.wait_for(lambda: (now := triggerer()) not in (None, killed) and now, "move the trigger")
    emulator.service.answer(run_id, question["id"], {"decision": "approve"})
    airflow.wait_for_dag("patient", dag_run)
    assert {killed, other} == {"triggerer-1", "triggerer-2"}
    assert airflow.task_instance("patient", dag_run, "output")["try_number"] == 1
    assert airflow.xcom("patient", dag_run, "output") == emulator.service.get_run(run_id).output
    airflow.start(killed)
