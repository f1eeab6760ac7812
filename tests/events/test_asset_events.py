# SPDX-License-Identifier: Apache-2.0
"""Changes become asset events in Airflow's database: exactly one per asset and state of a run."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider_agentruns.events.asset_uris import agent_run_asset, asset_uris
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from tests.support.airflow_versions import HAS_STATE_STORE

if not HAS_STATE_STORE:
    pytest.skip("Airflow before 3.3 has no asset state store", allow_module_level=True)

from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.utils.session import create_session
from sqlalchemy import create_engine, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from airflow_provider_agentruns.airflow_adapter import asset_events
from airflow_provider_agentruns.airflow_adapter.asset_events import NewAssetEvent, create_asset_events
from airflow_provider_agentruns.events import batch_writer
from airflow_provider_agentruns.events.batch_writer import KEY_LIFETIME, BatchWriter, QueueFullError
from airflow_provider_agentruns.events.webhook_event import MAX_AGE, RunStatusChange
from tests.events.assets import Assets, kept, rows_of_all_tables
from tests.support.airflow_home import migrate
from tests.support.postgres import Postgres


def change(run_id: str, status: str = "completed", agent: str = "slow") -> RunStatusChange:
    """Return a run that reached a status."""
    return RunStatusChange(str(uuid.uuid4()), run_id, status, agent, f"{run_id}:{status}")


def new(run_id: str, *uris: str) -> NewAssetEvent:
    """Return the event of a completed run."""
    return NewAssetEvent(uris or (agent_run_asset("hooked").uri,), f"webhook:{run_id}", {"run_id": run_id}, "e-1")


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
    writer = BatchWriter()
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
    asset = assets.add(agent_run_asset("hooked"))
    assets.deactivate(asset)
    before = rows_of_all_tables()
    assert create_asset_events([new("r-1"), new("r-2", "agentruns://unknown/any")]) == 0
    assert rows_of_all_tables() == before


def test_the_dag_run_gets_all_events_that_have_arrived(assets: Assets) -> None:
    """Airflow itself would give it the first event, and keep the others until there is another one."""
    assets.add(agent_run_asset("hooked"))
    for number in range(3):
        create_asset_events([new(f"{number}-{other}") for other in range(3)])
        assert assets.missed() == 0


def test_the_same_key_twice_in_a_batch_is_one_event(assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    assert create_asset_events([new("r-1"), new("r-1"), new("r-2")]) == 2
    assert sorted(payload["run_id"] for payload in assets.payloads(asset)) == ["r-1", "r-2"]


def write_at_once(assets: Assets) -> None:
    """Write the same changes from several threads, in different orders."""
    all_runs = assets.add(agent_run_asset("hooked"), dag_id="of_all")
    completed = assets.add(agent_run_asset("hooked", status="completed"), dag_id="of_completed")
    events = [new(f"r-{number}", all_runs.uri, completed.uri) for number in range(24)]
    with ThreadPoolExecutor(4) as threads:
        batches = [events[number:] + events[:number] for number in (0, 6, 12, 18)]
        parts = [batch[start : start + 8] for batch in batches for start in range(0, 24, 8)]
        assert sum(threads.map(create_asset_events, parts)) == 2 * len(events)
    for asset in (all_runs, completed):
        assert Counter(payload["run_id"] for payload in assets.payloads(asset)) == {f"r-{n}": 1 for n in range(24)}
    assert assets.queued() == {"of_all", "of_completed"}
    assert assets.missed() == 0


def test_several_processes_create_one_event_on_sqlite(assets: Assets) -> None:
    write_at_once(assets)


@pytest.mark.full
@pytest.mark.timeout(300)
def test_several_processes_create_one_event_on_postgresql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        server = Postgres()
    except FileNotFoundError as e:
        pytest.skip(str(e))
    with server as postgres:
        migrate(tmp_path, {**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url})
        engine = create_engine(postgres.url)

        @contextmanager
        def session() -> Iterator[Session]:
            with Session(engine) as session, session.begin():
                yield session

        monkeypatch.setattr(asset_events, "create_session", session)
        write_at_once(Assets(session))
        assert asset_events.delete_keys("agentruns://", "webhook:", timedelta()) == 48
        engine.dispose()


# Keys


def test_a_key_is_kept_as_long_as_its_event_may_arrive(assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    create_asset_events([new("r-old"), new("r-recent"), new("r-other")])
    now = datetime.now(UTC)
    with create_session() as session:
        for key, age in {"webhook:r-old": KEY_LIFETIME, "webhook:r-recent": MAX_AGE}.items():
            row = update(AssetStateStoreModel).where(AssetStateStoreModel.key == key)
            session.execute(row.values(updated_at=now - age - timedelta(minutes=1)))
        # What others store for the asset.
        row = update(AssetStateStoreModel).where(AssetStateStoreModel.key == "webhook:r-other")
        session.execute(row.values(key="of a task", updated_at=datetime(2020, 1, 1, tzinfo=UTC)))
    assert asset_events.delete_keys("agentruns://", "webhook:", KEY_LIFETIME) == 1
    assert kept(asset.uri).keys() == {"webhook:r-recent", "of a task"}
    assert create_asset_events([new("r-recent")]) == 0


# Batches


async def test_changes_that_arrive_together_share_transactions(assets: Assets, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    sizes: list[int] = []

    def counted(events: list[NewAssetEvent]) -> int:
        sizes.append(len(events))
        return create_asset_events(events)

    monkeypatch.setattr(asset_events, "create_asset_events", counted)
    writer = BatchWriter()
    await asyncio.gather(*(writer.write("hooked", change(f"r-{number}")) for number in range(50)))
    assert len(assets.payloads(asset)) == 50
    assert sizes == [20, 20, 10]


async def test_a_change_that_the_database_rejects_does_not_stop_the_others(
    assets: Assets, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = assets.add(agent_run_asset("hooked"))

    def rejects_one(events: list[NewAssetEvent]) -> int:
        if any("r-1:" in event.key for event in events):
            raise OperationalError("insert", {}, Exception("no"))
        return create_asset_events(events)

    monkeypatch.setattr(asset_events, "create_asset_events", rejects_one)
    writer = BatchWriter()
    results = await asyncio.gather(
        *(writer.write("hooked", change(f"r-{number}")) for number in range(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), OperationalError, type(None)]
    assert sorted(payload["run_id"] for payload in assets.payloads(asset)) == ["r-0", "r-2"]


async def test_a_full_queue_is_an_error(assets: Assets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_writer, "MAX_WAITING", 2)
    writer = BatchWriter()
    results = await asyncio.gather(
        *(writer.write("hooked", change(f"r-{number}")) for number in range(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), type(None), QueueFullError]


async def test_a_change_that_arrives_while_old_keys_are_deleted_is_written(
    assets: Assets, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    began, may_end = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> int:
        began.set()
        assert may_end.wait(20)
        raise OperationalError("delete", {}, Exception("no"))

    monkeypatch.setattr(asset_events, "delete_keys", slow)
    monkeypatch.setattr(batch_writer, "DELETE_INTERVAL", 0.0)
    writer = BatchWriter()
    await writer.write("hooked", change("r-1"))
    assert await asyncio.to_thread(began.wait, 20)
    late = asyncio.create_task(writer.write("hooked", change("r-2")))
    await asyncio.sleep(0)
    monkeypatch.setattr(batch_writer, "DELETE_INTERVAL", 3600.0)
    may_end.set()
    async with asyncio.timeout(20):
        await late
    assert sorted(payload["run_id"] for payload in assets.payloads(asset)) == ["r-1", "r-2"]


# Assets in DAG files


@pytest.mark.parametrize(
    ("arguments", "uri"),
    [
        ({}, "agentruns://agentruns_default/any"),
        ({"status": "completed"}, "agentruns://agentruns_default/completed"),
        ({"agent": "cip_orchestrator"}, "agentruns://agentruns_default/any/cip_orchestrator"),
        ({"status": "error", "agent": "a b/c?d#e"}, "agentruns://agentruns_default/error/a%20b%2Fc%3Fd%23e"),
        ({"agentruns_conn_id": "My-Conn.1"}, "agentruns://My-Conn.1/any"),
        ({"agentruns_conn_id": "user:word@host/x", "status": "error"}, "agentruns://user%3Aword%40host%2Fx/error"),
    ],
)
def test_airflow_leaves_the_uri_of_an_asset_unchanged(arguments: dict[str, Any], uri: str) -> None:
    asset = agent_run_asset(**arguments)
    assert isinstance(asset, Asset)
    assert (asset.uri, asset.name) == (uri, uri)


@pytest.mark.parametrize("conn_id", ["agentruns_default", "a/b", "ünïcode"])
@pytest.mark.parametrize("agent", ["cip_orchestrator", "a/b", "any", None])
def test_the_uris_of_a_change_are_those_of_the_assets_in_dag_files(conn_id: str, agent: str | None) -> None:
    of_dags = {
        agent_run_asset(conn_id, status=status, agent=one_agent).uri
        for status in (None, "completed")
        for one_agent in ((None, agent) if agent else (None,))
    }
    assert set(asset_uris(conn_id, "completed", agent)) == of_dags


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"status": "running"}, "status must be completed, interrupted, error, or None for all of them, not 'running'"),
        ({"status": ["completed"]}, "status must be"),
        ({"agent": " "}, "agent should be an agent type"),
        ({"agent": 5}, "agent should be an agent type"),
        ({"agentruns_conn_id": ""}, "agentruns_conn_id must be"),
        ({"agentruns_conn_id": None}, "agentruns_conn_id must be"),
    ],
)
def test_an_invalid_argument_of_an_asset_is_an_error(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AgentRunsValueError, match=message):
        agent_run_asset(**arguments)
