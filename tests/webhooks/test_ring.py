# SPDX-License-Identifier: Apache-2.0
"""The list by which the triggerer is told which runs to look at: what is in it, and that it is there to be read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.models.asset import AssetActive, AssetModel
from airflow.models.trigger import Trigger
from airflow.utils.session import create_session
from sqlalchemy import delete, func, select

from airflow_provider_agentruns.assets import HINTS_KEY, hints_uri
from airflow_provider_agentruns.webhooks import ring
from tests.webhooks.assets import Assets, kept, rows_of_all_tables
from tests.webhooks.sender import Sender, event

CLASSPATH = "airflow_provider_agentruns.triggers.agent_run.AgentRunTrigger"
URI = hints_uri("hooked")


@pytest.fixture
def somebody_waits(airflow_home: Path, assets: Assets) -> Iterator[None]:
    """Have a deferred wait in the database."""
    with create_session() as session:
        session.add(Trigger(CLASSPATH, {"run_id": "r-1"}))
    yield
    with create_session() as session:
        session.execute(delete(Trigger))


def run_ids(uri: str = URI) -> list[str]:
    """Return the runs in the list."""
    return [run_id for _, _, run_id in kept(uri).get(HINTS_KEY, [])]


def wait_for(run_id: str) -> None:
    """Wait until a run is in the list."""
    end = time.monotonic() + 10
    while run_id not in run_ids():
        assert time.monotonic() < end, f"{run_id} is not in the list"
        time.sleep(0.02)


@pytest.mark.usefixtures("somebody_waits")
def test_a_run_that_changed_is_in_the_list_soon(sender: Sender) -> None:
    sender.send(event("completed", "r-1"))
    wait_for("r-1")
    sender.send(event("interrupted", "r-2"))
    wait_for("r-2")
    # A run of the test before may have been gathered still.
    assert [run_id for run_id in run_ids() if run_id in ("r-1", "r-2")] == ["r-1", "r-2"]


@pytest.mark.usefixtures("somebody_waits")
def test_what_comes_again_is_a_hint_once_more(sender: Sender) -> None:
    for _ in range(2):
        sender.send(event("completed", "r-1"))
        time.sleep(2 * ring.GATHER)
    wait_for("r-1")
    marks = [mark for _, mark, _ in kept(URI)[HINTS_KEY]]
    assert len(set(marks)) == 2


@pytest.mark.usefixtures("assets")
def test_where_nobody_waits_nothing_is_written() -> None:
    before = rows_of_all_tables()
    ring.keep({"hooked": ["r-1"]})
    assert rows_of_all_tables() == before


@pytest.mark.usefixtures("somebody_waits")
def test_its_asset_is_active_again_after_airflow_has_cleaned_up() -> None:
    ring.keep({"hooked": ["r-1"]})
    with create_session() as session:
        # As the scheduler does with assets that no DAG has.
        session.execute(delete(AssetActive).where(AssetActive.uri == URI))
    ring.keep({"hooked": ["r-2"]})
    with create_session() as session:
        active = select(AssetModel.id).where(AssetModel.uri == URI, AssetModel.active.has())
        assert len(session.scalars(active).all()) == 1
        assert session.scalar(select(func.count()).select_from(AssetModel).where(AssetModel.uri == URI)) == 1
    assert "r-2" in run_ids()


@pytest.mark.usefixtures("somebody_waits")
def test_old_hints_go_and_the_list_stays_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "MOST_KEPT", 5)
    ring.keep({"hooked": [f"r-{number}" for number in range(9)]})
    assert run_ids() == ["r-4", "r-5", "r-6", "r-7", "r-8"]
    monkeypatch.setattr(ring, "KEPT", 0.0)
    ring.keep({"hooked": ["r-9"]})
    assert run_ids() == ["r-9"]


@pytest.mark.usefixtures("somebody_waits")
def test_none_is_lost_where_several_write_at_a_time() -> None:
    def write(number: int) -> None:
        for step in range(5):
            ring.keep({"hooked": [f"r-{number}-{step}"], "rotated": [f"q-{number}-{step}"]})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(run_ids()) == [f"r-{number}-{step}" for number in range(4) for step in range(5)]
    assert sorted(run_ids(hints_uri("rotated"))) == [f"q-{number}-{step}" for number in range(4) for step in range(5)]
