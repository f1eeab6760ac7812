# SPDX-License-Identifier: Apache-2.0
"""Changes become asset events in Airflow's database: exactly one per asset and state of a run."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider_agentruns.events.asset_uris import agent_run_asset, asset_uris
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from tests.support.airflow_versions import HAS_STATE_STORE

if not HAS_STATE_STORE:
    pytest.skip("Airflow before 3.3 has no asset state store", allow_module_level=True)

from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.utils.retries import run_with_db_retries
from airflow.utils.session import create_session
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from airflow_provider_agentruns.airflow_adapter import asset_events
from airflow_provider_agentruns.events import webhook_writer
from airflow_provider_agentruns.events.signed_webhook import MAX_AGE, RunStatusChange
from airflow_provider_agentruns.events.webhook_writer import KEY_LIFETIME, WebhookWriter
from tests.events.assets import Assets, kept, rows_of_all_tables


def change(run_id: str, status: str = "completed", agent: str = "slow") -> RunStatusChange:
    return RunStatusChange(str(uuid.uuid4()), run_id, status, agent, f"{run_id}:{status}")


def create(run_id: str, *uris: str) -> int:
    """Create the events of a completed run, and return their number."""
    count = 0

    def write(session: Session) -> None:
        nonlocal count
        new = asset_events.add_key(session, uris or (agent_run_asset("hooked").uri,), f"webhook:{run_id}", "e-1")
        asset_events.create_events(session, new, {"run_id": run_id})
        count = len(new)

    asset_events.in_transaction(write)
    return count


# Events


async def test_a_change_creates_one_event_of_each_asset_that_is_about_it(assets: Assets) -> None:
    expected = [
        assets.add(agent_run_asset("hooked")),
        assets.add(agent_run_asset("hooked", status="error")),
        assets.add(agent_run_asset("hooked", agent="slow")),
        assets.add(agent_run_asset("hooked", status="error", agent="slow")),
    ]
    others = [
        assets.add(agent_run_asset("hooked", status="completed")),
        assets.add(agent_run_asset("hooked", agent="another")),
        assets.add(agent_run_asset("rotated", status="error")),
    ]
    before = rows_of_all_tables()
    writer = WebhookWriter()
    for _ in range(3):
        await writer.write("hooked", change("r-1", "error"))
    for asset in expected:
        payload = {"run_id": "r-1", "status": "error", "agent": "slow"}
        assert assets.events(asset) == [{"from_webhook": True, "payload": payload}]
    for asset in others:
        assert assets.events(asset) == []
    assert assets.queued() == {"by_webhooks"}
    after = rows_of_all_tables()
    changed = {name: count - before[name] for name, count in after.items() if count != before[name]}
    # Nothing of the webhook is stored but the event and its key.
    assert changed == {"asset_event": 4, "asset_dag_run_queue": 4, "asset_state_store": 4}
    assert kept(expected[0].uri).keys() == {"webhook:r-1:error"}


def test_an_asset_that_no_dag_uses_gets_no_event(assets: Assets) -> None:
    assets.deactivate(assets.add(agent_run_asset("hooked")))
    before = rows_of_all_tables()
    assert create("r-1") == create("r-2", "agentruns://unknown/any") == 0
    assert rows_of_all_tables() == before


@pytest.mark.usefixtures("database")
def test_several_processes_create_one_event(assets: Assets) -> None:
    all_runs = assets.add(agent_run_asset("hooked"), dag_id="of_all")
    completed = assets.add(agent_run_asset("hooked", status="completed"), dag_id="of_completed")
    runs = [f"r-{number}" for number in range(24)]
    with ThreadPoolExecutor(4) as threads:
        orders = [runs[start:] + runs[:start] for start in (0, 0, 6, 12)]
        counts = threads.map(lambda order: [create(run_id, all_runs.uri, completed.uri) for run_id in order], orders)
        assert sum(map(sum, counts)) == 2 * len(runs)
    for asset in (all_runs, completed):
        assert Counter(payload["run_id"] for payload in assets.payloads(asset)) == dict.fromkeys(runs, 1)
    assert assets.queued() == {"of_all", "of_completed"}


# Keys and limits


async def test_a_key_is_kept_as_long_as_its_event_may_arrive(assets: Assets, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    for run_id in ("r-old", "r-recent", "r-other"):
        create(run_id)
    now = datetime.now(UTC)
    with create_session() as session:
        for key, age in {"webhook:r-old": KEY_LIFETIME, "webhook:r-recent": MAX_AGE}.items():
            row = update(AssetStateStoreModel).where(AssetStateStoreModel.key == key)
            session.execute(row.values(updated_at=now - age - timedelta(minutes=1)))
        # What others store for the asset.
        row = update(AssetStateStoreModel).where(AssetStateStoreModel.key == "webhook:r-other")
        session.execute(row.values(key="of a task", updated_at=datetime(2020, 1, 1, tzinfo=UTC)))
    monkeypatch.setattr(webhook_writer, "DELETE_INTERVAL", 0.0)
    await WebhookWriter().write("hooked", change("r-new"))
    assert kept(asset.uri).keys() == {"webhook:r-recent", "of a task", "webhook:r-new:completed"}
    assert create("r-recent") == 0


async def test_too_many_changes_at_once_and_a_failing_database_are_errors(
    assets: Assets, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    create_events = asset_events.create_events

    def fail_for_one(session: Session, uris: Any, payload: Any) -> None:
        if payload["run_id"] == "r-1":
            raise OperationalError("insert", {}, Exception("no"))
        create_events(session, uris, payload)

    monkeypatch.setattr(asset_events, "run_with_db_retries", lambda: run_with_db_retries(1))
    monkeypatch.setattr(asset_events, "create_events", fail_for_one)
    monkeypatch.setattr(webhook_writer, "MAX_PENDING", 3)
    writer = WebhookWriter()
    writes = [writer.write("hooked", change(f"r-{number}")) for number in range(4)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), OperationalError, type(None), asyncio.QueueFull]
    assert [payload["run_id"] for payload in assets.payloads(asset)] == ["r-0", "r-2"]


# Assets in DAG files


@pytest.mark.parametrize(
    ("arguments", "uri"),
    [
        ({}, "agentruns://agentruns_default/any"),
        (
            {"agentruns_conn_id": "user:word@host/x", "status": "error", "agent": "a b?#"},
            "agentruns://user%3Aword%40host%2Fx/error/a%20b%3F%23",
        ),
    ],
)
def test_airflow_leaves_the_uri_of_an_asset_unchanged(arguments: dict[str, Any], uri: str) -> None:
    asset = agent_run_asset(**arguments)
    assert isinstance(asset, Asset)
    assert (asset.uri, asset.name) == (uri, uri)


def test_the_uris_of_a_change_are_those_of_the_assets_in_dag_files() -> None:
    of_dags = {
        agent_run_asset("a/b", status=status, agent=agent).uri for status in (None, "error") for agent in (None, "x")
    }
    assert set(asset_uris("a/b", "error", "x")) == of_dags
    assert set(asset_uris("a/b", "error", None)) == {"agentruns://a%2Fb/any", "agentruns://a%2Fb/error"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"status": "running"}, "status must be completed, interrupted, error, or None for all of them, not 'running'"),
        ({"agent": " "}, "agent should be an agent type"),
        ({"agentruns_conn_id": ""}, "agentruns_conn_id must be"),
    ],
)
def test_an_invalid_argument_of_an_asset_is_an_error(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AgentRunsValueError, match=message):
        agent_run_asset(**arguments)
