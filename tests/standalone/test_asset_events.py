# SPDX-License-Identifier: Apache-2.0
"""DAGs that are started by agent runs, through a triggerer that is killed."""

from __future__ import annotations

import time
from typing import Any

import httpx

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.events.run_events import KEEP_AFTER
from tests.support.airflow_versions import needs_asset_state_store
from tests.support.standalone import Standalone

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"
ASSETS = ("watched_runs", "also_watched_runs")


class Watched:
    """An asset with a watcher, as Airflow shows it."""

    def __init__(self, airflow: Standalone, name: str) -> None:
        self.airflow = airflow
        self.name = name
        assets = airflow.call("GET", "/assets", params={"name_pattern": name})["assets"]
        [self.id] = [asset["id"] for asset in assets if asset["name"] == name]

    @property
    def payloads(self) -> list[dict[str, Any]]:
        """What its events hold, oldest first."""
        [answer] = self.airflow.wait_for(self._events, f"the events of {self.name}", 30)
        return [event["extra"]["payload"] for event in answer["asset_events"]]

    def _events(self) -> list[dict[str, Any]]:
        params = {"asset_id": self.id, "limit": 100, "order_by": "timestamp"}
        try:
            return [self.airflow.call("GET", "/assets/events", params=params)]
        except httpx.HTTPStatusError as e:
            # So Airflow answers while a DAG run that an event has created has not begun.
            if e.response.status_code != 500:
                raise
            return []

    @property
    def cursor(self) -> dict[str, Any]:
        """What its watcher keeps."""
        kept = self.airflow.call("GET", f"/assets/{self.id}/state-store")["asset_state_store"]
        values = [entry["value"] for entry in kept if entry["key"].startswith("agent_runs:")]
        return values[0] if values else {}

    def wait_for(self, count: int, seconds: float = 60) -> None:
        """Wait until it has had as many events."""
        self.airflow.wait_for(lambda: len(self.payloads) >= count, f"{count} events of {self.name}", seconds)


def known_dags(airflow: Standalone) -> set[str]:
    """Return the ids of the DAGs that have been parsed."""
    return {dag["dag_id"] for dag in airflow.call("GET", "/dags", params={"limit": 100})["dags"]}


@needs_asset_state_store
def test_each_run_makes_one_event_also_where_the_triggerer_is_killed(airflow: Standalone, emulator: Emulator) -> None:
    service = emulator.service
    # Long over when somebody begins to watch.
    service.create_run("instant", business_id=BUSINESS)
    example = "example_agent_run_assets"
    dag_ids = {"asset_events", "asset_events_too", example}
    airflow.wait_for(lambda: dag_ids <= known_dags(airflow), "the DAGs", 120)
    for dag_id in dag_ids:
        airflow.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
    watched, also_watched = (Watched(airflow, name) for name in ASSETS)
    of_example = Watched(airflow, "completed_agent_runs")
    for one in (watched, also_watched, of_example):
        airflow.wait_for(lambda one=one: one.cursor, f"a watcher of {one.name}", 120)

    done = service.create_run("instant", business_id=BUSINESS)
    slow = service.create_run("slow", business_id=BUSINESS)
    asked = service.create_run("needs_approval", business_id=BUSINESS)
    also_asked = service.create_run("needs_approval", business_id=BUSINESS)
    watched.wait_for(4)
    # What is in Airflow's database is kept some seconds later. What is killed before that is told of again.
    time.sleep(2 * KEEP_AFTER + 2)
    assert watched.cursor["open"].keys() >= {asked.id, also_asked.id}

    airflow.kill("triggerer")
    service.answer(asked.id, service.get_run(asked.id).interrupts[0]["id"], "approve")
    missed = service.create_run("fails", business_id=BUSINESS)
    airflow.wait_for(lambda: service.get_run(missed.id).finished and service.get_run(asked.id).finished, "their end")
    airflow.start("triggerer")
    watched.wait_for(6, 120)
    # It goes on after that, and tells of nothing once more.
    last = service.create_run("instant", business_id=BUSINESS)
    watched.wait_for(7)
    also_watched.wait_for(7)
    time.sleep(3)

    expected = [
        (done, "completed"),
        (slow, "completed"),
        (asked, "interrupted"),
        (also_asked, "interrupted"),
        (asked, "completed"),
        (missed, "error"),
        (last, "completed"),
    ]
    payloads = sorted(({"run_id": run.id, "status": s, "agent": run.agent} for run, s in expected), key=str)
    assert sorted(watched.payloads, key=str) == payloads
    assert sorted(also_watched.payloads, key=str) == payloads

    # All of them have reached the DAG, each once.
    def handed_on() -> list[dict[str, Any]]:
        runs = airflow.call("GET", "/dags/asset_events/dagRuns", params={"limit": 100})["dag_runs"]
        done = [run["dag_run_id"] for run in runs if run["state"] == "success"]
        return [payload for dag_run in done for payload in airflow.xcom("asset_events", dag_run, "payloads")]

    airflow.wait_for(lambda: len(handed_on()) >= 7, "the DAG to take all events", 90)
    assert sorted(handed_on(), key=str) == payloads

    of_example.wait_for(1, 90)
    runs = airflow.wait_for(lambda: airflow.call("GET", f"/dags/{example}/dagRuns")["dag_runs"], "the example", 60)
    airflow.wait_for_dag(example, runs[0]["dag_run_id"])
    summaries = [artifact["summary"] for artifact in service.get_run(slow.id).output["artifacts"]]
    assert airflow.xcom(example, runs[0]["dag_run_id"], "summaries") == summaries
