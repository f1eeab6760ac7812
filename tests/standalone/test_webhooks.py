# SPDX-License-Identifier: Apache-2.0
"""Webhooks into a whole Airflow: they start DAGs, and wake tasks that are deferred, in another process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.standalone.conftest import TOKEN
from tests.standalone.test_asset_events import known_dags
from tests.support.airflow_versions import needs_asset_memory
from tests.support.standalone import Standalone
from tests.webhooks.sender import SECRET, Sender, event

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"

#: So long the runs are waited for before they change: by then they are looked at every 12 seconds, and ever less often.
AGE = 50

#: Within how many seconds after its webhook a task has ended. It takes about three, of which Airflow takes two.
SOON = 8

pytestmark = needs_asset_memory


@pytest.fixture(scope="module")
def sender(airflow: Standalone, emulator: Emulator) -> Iterator[Sender]:
    """Return who sends webhooks over a connection that a person has made."""
    connection = {"connection_id": "hooked", "conn_type": "agentruns", "host": emulator.url, "password": TOKEN}
    airflow.call("POST", "/connections", json={**connection, "extra": json.dumps({"webhook_secret": SECRET})})
    sender = Sender(airflow.url)
    with sender.http:
        yield sender


def test_a_dag_is_started_by_a_run_once_however_often_it_is_told_of(airflow: Standalone, sender: Sender) -> None:
    dag_id = "started_by_webhooks"
    airflow.wait_for(lambda: dag_id in known_dags(airflow), "the DAG", 120)
    airflow.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
    told = [event("completed", agent="slow") for _ in range(3)]
    others = [event("completed", agent="fast"), event("error", agent="slow")]
    for sent in [*told, *others, *told, *reversed(told)]:
        assert sender.send(sent).status_code == 204
    # On SQLite, where nothing can be locked, the scheduler may leave one behind for the next event; see `queueing`.
    time.sleep(5)
    told.append(event("completed", agent="slow"))
    assert sender.send(told[-1]).status_code == 204

    def handed_on() -> list[dict[str, str]]:
        runs = airflow.call("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"]
        done = [run["dag_run_id"] for run in runs if run["state"] == "success"]
        return [payload for dag_run in done for payload in airflow.xcom(dag_id, dag_run, "payloads")]

    airflow.wait_for(lambda: len(handed_on()) >= len(told), "the DAG to take all events", 90)
    runs = [sent["data"]["object"] for sent in told]
    expected = [{"run_id": run["id"], "status": "completed", "agent": "slow"} for run in runs]
    assert sorted(handed_on(), key=str) == sorted(expected, key=str)


def test_deferred_waits_end_at_once_and_not_at_their_next_look(
    airflow: Standalone, emulator: Emulator, sender: Sender
) -> None:
    service = emulator.service
    runs = [service.create_run("needs_approval", business_id=BUSINESS) for _ in range(4)]
    waits = {run.id: airflow.start_dag("woken_by_webhooks", {"run_id": run.id}) for run in runs}

    def deferred(dag_run: str) -> bool:
        return bool(airflow.task_instance("woken_by_webhooks", dag_run, "wait")["state"] == "deferred")

    airflow.wait_for(lambda: all(map(deferred, waits.values())), "all waits to be deferred", 120)
    time.sleep(AGE)
    assert all(map(deferred, waits.values()))
    seconds = {}
    for run in runs:
        service.answer(run.id, service.get_run(run.id).interrupts[0]["id"], "approve")
        airflow.wait_for(lambda run=run: service.get_run(run.id).finished, "its end")
        begun = time.time()
        assert sender.send(event("completed", run.id, agent=run.agent)).status_code == 204
        airflow.wait_for_dag("woken_by_webhooks", waits[run.id], seconds=90)
        ended = airflow.task_instance("woken_by_webhooks", waits[run.id], "wait")["end_date"]
        seconds[run.id] = datetime.fromisoformat(ended).timestamp() - begun
    print("seconds from the webhook to the end of the task:", *(f"{value:.1f}" for value in seconds.values()))
    assert max(seconds.values()) < SOON


def test_the_secret_is_in_nothing_that_airflow_writes(airflow: Standalone, sender: Sender) -> None:
    """After the tests above."""
    written = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in written)
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []
    shown = airflow.call("GET", "/connections/hooked")
    assert json.loads(shown["extra"]) == {"webhook_secret": "***"}
