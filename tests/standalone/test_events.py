# SPDX-License-Identifier: Apache-2.0
"""Agent runs start DAGs: each run once, through a triggerer that is killed and through repeated webhooks."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.events.sender import SECRET, Sender, event
from tests.standalone.conftest import TOKEN
from tests.standalone.people import interrupted
from tests.support.airflow_versions import needs_asset_state_store
from tests.support.standalone import Standalone
from tests.support.statsd import StatsdServer

pytestmark = needs_asset_state_store

DAGS = ("asset_events", "asset_events_too")


def received(airflow: Standalone, dag_id: str) -> list[dict[str, Any]]:
    """Return the payloads of the events that the finished runs of a DAG have received."""
    runs = airflow.call("GET", f"/dags/{dag_id}/dagRuns", params={"limit": 100})["dag_runs"]
    finished = [run["dag_run_id"] for run in runs if run["state"] == "success"]
    return [payload for dag_run in finished for payload in airflow.xcom(dag_id, dag_run, "payloads")]


def ask(airflow: Standalone, emulator: Emulator) -> tuple[str, str]:
    """Start an agent run that watchers see, wait until it asks, and return its ID and its interrupt's ID."""
    run_id, [question] = interrupted(airflow, emulator, "watched")
    return run_id, question["id"]


def wait_for_events(airflow: Standalone, expected: list[tuple[str, str]]) -> None:
    def complete() -> bool:
        found = [{(run["run_id"], run["status"]) for run in received(airflow, dag_id)} for dag_id in DAGS]
        return all(runs >= set(expected) for runs in found)

    airflow.wait_for(complete, f"start {' and '.join(DAGS)} with all events")


def wait_until_they_watch(airflow: Standalone, emulator: Emulator) -> None:
    def complete() -> bool:
        ask(airflow, emulator)
        time.sleep(15)
        return all(received(airflow, dag_id) for dag_id in DAGS)

    airflow.wait_for(complete, f"start {' and '.join(DAGS)}")


def test_each_run_is_reported_once_although_the_triggerer_is_killed(airflow: Standalone, emulator: Emulator) -> None:
    wait_until_they_watch(airflow, emulator)
    rejected, its_question = ask(airflow, emulator)
    approved, other_question = ask(airflow, emulator)
    expected = [(rejected, "interrupted"), (approved, "interrupted")]
    wait_for_events(airflow, expected)
    airflow.kill("triggerer")
    emulator.service.answer(rejected, its_question, "reject")
    emulator.service.answer(approved, other_question, "approve")
    missed, _ = ask(airflow, emulator)
    airflow.wait_for(lambda: all(emulator.service.get_run(run).finished for run in (rejected, approved)), "see an end")
    airflow.start("triggerer")
    expected += [(rejected, "error"), (approved, "completed"), (missed, "interrupted")]
    wait_for_events(airflow, expected)
    for dag_id in DAGS:
        events = [(event["run_id"], event["status"]) for event in received(airflow, dag_id)]
        assert sorted(event for event in events if event in expected) == sorted(expected)
        assert {event["agent"] for event in received(airflow, dag_id)} == {"watched"}


@pytest.fixture
def sender(airflow: Standalone, emulator: Emulator) -> Sender:
    connection = {"connection_id": "hooked", "conn_type": "agentruns", "host": emulator.url, "password": TOKEN}
    secret = {"webhook_secret": SECRET}
    airflow.call("POST", "/connections", repeated=409, json={**connection, "extra": json.dumps(secret)})
    return Sender(airflow.url)


def test_repeated_webhooks_start_a_dag_once_for_each_run(
    airflow: Standalone, sender: Sender, statsd: StatsdServer
) -> None:
    dag_id = "started_by_webhooks"
    airflow.unpause(dag_id)
    matching = [event("completed", agent="slow") for _ in range(3)]
    others = [event("completed", agent="fast"), event("error", agent="slow")]
    with sender.http:
        for sent in [*matching, *others, *matching, *reversed(matching)]:
            assert sender.send(sent).status_code == 204
        forged = event("completed", str(uuid.uuid4()), agent="slow")
        assert sender.send(forged, secret="whsec_wrong").status_code == 401
        runs = {sent["data"]["object"]["id"] for sent in matching}

        airflow.wait_for(
            lambda: runs <= {run["run_id"] for run in received(airflow, dag_id)}, "start the DAG with all events"
        )
    payloads = received(airflow, dag_id)
    assert sorted(payload["run_id"] for payload in payloads if payload["run_id"] in runs) == sorted(runs)
    assert {payload["run_id"] for payload in payloads} <= {sent["data"]["object"]["id"] for sent in matching}
    assert {(payload["status"], payload["agent"]) for payload in payloads} == {("completed", "slow")}
    assert json.loads(airflow.call("GET", "/connections/hooked")["extra"]) == {"webhook_secret": "***"}
    assert len(statsd.sent("agentruns.webhooks.accepted", conn_id="hooked")) == 11
    assert len(statsd.sent("agentruns.webhooks.rejected", conn_id="hooked", status="401")) == 1
