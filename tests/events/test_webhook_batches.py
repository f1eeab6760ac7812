# SPDX-License-Identifier: Apache-2.0
"""What is remembered of webhooks, for how long, and what happens where the database does not take them."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.utils.session import create_session
from sqlalchemy import update

from airflow_provider_agentruns.airflow_adapter import asset_events as taking
from airflow_provider_agentruns.events import batch_writer as intake
from airflow_provider_agentruns.events import webhook_event as events
from airflow_provider_agentruns.events.asset_uris import agent_run_asset
from airflow_provider_agentruns.events.webhook_event import RunChange
from tests.events.assets import Assets, kept
from tests.events.sender import Sender, event


def change(run_id: str) -> RunChange:
    """Return a run that has completed."""
    return RunChange(str(uuid.uuid4()), run_id, "completed", "slow", "completed")


def test_what_was_taken_is_remembered_as_long_as_it_may_come_again(assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    taking.take([("hooked", change("r-old")), ("hooked", change("r-recent"))])
    now = datetime.now(UTC)
    with create_session() as session:
        for run_id, age in {"r-old": taking.REMEMBERED, "r-recent": events.OLDEST}.items():
            row = AssetStateStoreModel.key == f"{taking.KEY}{run_id}:completed"
            older = now - age - timedelta(minutes=1)
            session.execute(update(AssetStateStoreModel).where(row).values(updated_at=older))
    assert taking.forget_old() == 1
    assert set(kept(asset.uri)) == {"webhook:r-recent:completed"}
    assert taking.take([("hooked", change("r-recent"))]) == 0


def test_what_others_keep_for_an_asset_is_not_touched(assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    taking.take([("hooked", change("r-1"))])
    with create_session() as session:
        session.execute(
            update(AssetStateStoreModel).values(key="of a task", updated_at=datetime(2020, 1, 1, tzinfo=UTC))
        )
    assert taking.forget_old() == 0
    assert set(kept(asset.uri)) == {"of a task"}


def test_the_same_twice_in_one_go_is_one_event(assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    assert taking.take([("hooked", change("r-1")), ("hooked", change("r-1")), ("hooked", change("r-2"))]) == 2
    assert sorted(payload["run_id"] for payload in assets.payloads(asset)) == ["r-1", "r-2"]


def test_an_asset_that_no_dag_has_any_more_gets_none(assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    assets.deactivate(asset)
    assert taking.take([("hooked", change("r-1"))]) == 0
    assert assets.payloads(asset) == []
    assert kept(asset.uri) == {}


def test_what_the_database_does_not_take_is_sent_again_and_then_taken_once(
    sender: Sender, assets: Assets, airflow_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "_TRIES", 1)
    asset = assets.add(agent_run_asset("hooked"))
    sent = event("completed")
    other = sqlite3.connect(airflow_home / "airflow.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        answer = sender.send(sent)
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert assets.payloads(asset) == []
    for _ in range(2):
        assert sender.send(sent).status_code == 204
    assert len(assets.payloads(asset)) == 1


async def test_what_comes_while_it_is_cleaned_up_is_taken_right_after(
    assets: Assets, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    began, goes_on = threading.Event(), threading.Event()

    def slow() -> int:
        began.set()
        assert goes_on.wait(10)
        return 0

    monkeypatch.setattr(taking, "forget_old", slow)
    monkeypatch.setattr(intake, "FORGET_EVERY", 0.0)
    taker = intake.Intake()
    await taker.take("hooked", change("r-1"))
    assert await asyncio.to_thread(began.wait, 10)
    late = asyncio.create_task(taker.take("hooked", change("r-2")))
    await asyncio.sleep(0)
    monkeypatch.setattr(intake, "FORGET_EVERY", 3600.0)
    goes_on.set()
    async with asyncio.timeout(20):
        await late
    assert sorted(payload["run_id"] for payload in assets.payloads(asset)) == ["r-1", "r-2"]
