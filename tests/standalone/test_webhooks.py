# SPDX-License-Identifier: Apache-2.0
"""Webhooks start DAGs in a complete Airflow."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.events.sender import SECRET, Sender, event
from tests.standalone.conftest import TOKEN
from tests.standalone.test_asset_events import known_dags
from tests.support.airflow_versions import needs_asset_state_store
from tests.support.standalone import Standalone

pytestmark = needs_asset_state_store


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


def test_the_secret_is_in_nothing_that_airflow_writes(airflow: Standalone, sender: Sender) -> None:
    """After the tests above."""
    written = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in written)
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []
    shown = airflow.call("GET", "/connections/hooked")
    assert json.loads(shown["extra"]) == {"webhook_secret": "***"}
