# SPDX-License-Identifier: Apache-2.0
"""What the page of all runs that tasks are waiting for shows."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.plugins import page_client
from airflow_provider_agentruns.plugins.routes import overview
from tests.plugins.conftest import RunOf
from tests.plugins.instances import CONNECTION, Instances
from tests.support import BUSINESS
from tests.support.airflow_versions import FORM_STATE

RENDERED = {"agentruns_conn_id": CONNECTION}


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let statuses stay fresh for a moment only."""
    monkeypatch.setattr(page_client, "STATUSES_FRESH_FOR", 0.3)


def listed(reader: httpx.Client, **query: str) -> dict[str, Any]:
    return dict(reader.get("/agent-runs/api/waiting", params=query).raise_for_status().json())


def listed_once_known(reader: httpx.Client, *dag_ids: str) -> dict[str, Any]:
    """Return the data once the status of each run of some DAGs is known."""
    end = time.monotonic() + 15
    while True:
        shown = listed(reader)
        if all(row["status"] for row in shown["rows"] if row["dag_id"] in dag_ids):
            return shown
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.usefixtures("database")
def test_tasks_that_need_a_person_come_first_oldest_first(reader: httpx.Client, instances: Instances) -> None:
    instances.task("works", ago=9000, rendered={**RENDERED, "run_id": "r-1"})
    for dag_id, ago in (("asks_lately", 30), ("asks_long", 500)):
        instances.task(
            dag_id, state="awaiting_input", operator="AgentRunReviewOperator", ago=ago, map_index=0, label="Why?",
            form={"subject": f"{dag_id}?", "interrupt_id": "int-1"},
        )  # fmt: skip
    shown = listed(reader)
    assert [row["dag_id"] for row in shown["rows"]] == ["asks_long", "asks_lately", "works"]
    assert [row["needs_person"] for row in shown["rows"]] == [True, True, False]
    assert [row["question"] for row in shown["rows"]] == ["asks_long?", "asks_lately?", None]
    assert [row["label"] for row in shown["rows"]] == ["Why?", "Why?", None]
    assert (shown["total"], shown["dag_ids"]) == (3, ["asks_lately", "asks_long", "works"])


@pytest.mark.usefixtures("database")
def test_the_oldest_tasks_are_shown_if_there_are_too_many(
    reader: httpx.Client, instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "MAX_TASKS", 2)
    for number in range(3):
        instances.task(f"long_{number}", ago=100 - number)
    shown = listed(reader)
    assert ([row["dag_id"] for row in shown["rows"]], shown["total"]) == (["long_0", "long_1"], 3)
    narrowed = listed(reader, dag_id="long_2")
    assert ([row["dag_id"] for row in narrowed["rows"]], narrowed["total"]) == (["long_2"], 1)
    assert narrowed["dag_ids"] == shown["dag_ids"] == ["long_0", "long_1", "long_2"]


@pytest.mark.usefixtures("database")
def test_only_active_tasks_of_this_package_are_listed(reader: httpx.Client, instances: Instances) -> None:
    for state in ("success", "failed", "removed", "scheduled", "queued", "up_for_retry", "up_for_reschedule"):
        instances.task(state, state=state)
    instances.task("other", operator="BashOperator", rendered={"bash_command": "100% sleep_1"})
    instances.task("subclass", operator="MyOwnOperator", rendered={**RENDERED, "run_id": "r-1"})
    instances.task("wrapped", operator="Wrapper", state="deferred", trigger={"run_id": "r", **RENDERED})
    form = {"subject": "?", "interrupt_id": "i"}
    deleted = instances.dag_run("deleted", is_stale=True)
    instances.task("deleted", deleted, operator="AgentRunReviewOperator", state=FORM_STATE, form=form)
    shown = listed(reader)
    assert {row["dag_id"] for row in shown["rows"]} == set(shown["dag_ids"])
    assert set(shown["dag_ids"]) == {"subclass", "wrapped", "up_for_retry", "up_for_reschedule"}


def test_status_and_agent_come_from_the_service(reader: httpx.Client, instances: Instances, run_of: RunOf) -> None:
    asks = run_of("needs_approval", "interrupted")
    instances.task("asks", state="deferred", ago=60, trigger={**RENDERED, "run_id": asks.id})
    instances.task("has_ended", ago=50, rendered={**RENDERED, "run_id": run_of("fails", "error").id})
    instances.task("unknown", ago=40, rendered={**RENDERED, "run_id": "00000000-0000-4000-8000-000000000000"})
    rows = {row["dag_id"]: row for row in listed_once_known(reader, "asks", "has_ended", "unknown")["rows"]}
    assert {dag_id: (row["status"], row["agent"]) for dag_id, row in rows.items()} == {
        "asks": ("interrupted", "needs_approval"),
        "has_ended": ("error", "fails"),
        "unknown": ("not found", None),
    }
    # No form shows its question, but a person must answer it.
    assert [dag_id for dag_id, row in rows.items() if row["needs_person"]] == ["asks"]


def test_many_runs_are_read_with_pages(reader: httpx.Client, instances: Instances, service: Emulator) -> None:
    runs = [service.service.create_run("needs_approval", business_id=BUSINESS) for _ in range(40)]
    dag_run = instances.dag_run("many")
    for index, run in enumerate(runs):
        instances.task("many", dag_run, map_index=index, rendered={**RENDERED, "run_id": run.id})
    before = service.count("GET", "/v1/runs/.*")
    assert len(listed_once_known(reader, "many")["rows"]) == 40
    assert service.count("GET", "/v1/runs/.*") - before < 20
    # All viewers share a refresh, which takes at most two pages here and five single reads.
    before, began = len(service.requests), time.monotonic()
    for _ in range(30):
        listed(reader)
    refreshes = (time.monotonic() - began) / page_client.STATUSES_FRESH_FOR + 2
    assert len(service.requests) - before <= refreshes * 7


def test_an_unreachable_service_does_not_affect_another(
    reader: httpx.Client, instances: Instances, run_of: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LIST_GONE", "agentruns://:mk_test_secret@127.0.0.1:1/http")
    instances.task("cut_off", rendered={"agentruns_conn_id": "list_gone", "run_id": "r-1", "agent": "slow"})
    instances.task("seen", rendered={**RENDERED, "run_id": run_of("instant", "completed").id})
    shown = listed_once_known(reader, "seen")
    assert [error["connection"] for error in shown["errors"]] == ["list_gone"]
    assert "mk_test_secret" not in str(shown)
    statuses = {row["dag_id"]: (row["status"], row["agent"]) for row in shown["rows"]}
    assert statuses == {"cut_off": (None, "slow"), "seen": ("completed", "instant")}
