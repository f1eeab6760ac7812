# SPDX-License-Identifier: Apache-2.0
"""Whatever the reference leaves open about the listing: each run is found, and told of once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_agentruns.events import feed
from tests.events.listing import Listing
from tests.events.watchers import ENV, FakeStore, Watcher, kept, running, settled
from tests.hooks.connections import connection_json
from tests.support.scripted_server import Received, ScriptedServer
from tests.triggers.waiting import until

KINDS: dict[str, dict[str, Any]] = {
    "newest first": {},
    "newest first, no count, no date": {"counts": False, "dates": False},
    "oldest first": {"order": "oldest first"},
    "oldest first, no count, no date": {"order": "oldest first", "counts": False, "dates": False},
    "in no order": {"order": "by id"},
    "in no order, no count, no date": {"order": "by id", "counts": False, "dates": False},
    "pages of three": {"largest": 3},
    "one page": {"largest": 500},
}


@pytest.fixture
def listing(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Listing, ScriptedServer]]:
    """Serve a listing of some kind."""
    listing = Listing(**getattr(request, "param", {}))
    with ScriptedServer(listing) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        yield listing, server


every_kind = pytest.mark.parametrize("listing", KINDS.values(), ids=KINDS, indirect=True)


@every_kind
async def test_new_runs_are_found_and_old_ones_are_no_news(listing: tuple[Listing, ScriptedServer]) -> None:
    runs, _ = listing
    runs.add_old(130)
    runs.add("open", "interrupted", "i-1", age=90_000)
    runs.add("young", "error", age=30)
    store = FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        for number in range(50):
            runs.add(f"{number:02}-new", "completed")
        runs.add("open", "completed")
        runs.add("working")
        await watcher.came(51)
        runs.add("working", "error")
        await watcher.came(52)
        await asyncio.sleep(0.4)
    assert sorted(watcher.seen) == sorted(
        [(f"{number:02}-new", "completed") for number in range(50)] + [("open", "completed"), ("working", "error")]
    )


@every_kind
async def test_after_a_restart_it_goes_down_to_where_it_was(listing: tuple[Listing, ScriptedServer]) -> None:
    runs, server = listing
    runs.add_old(400)
    runs.add("open", age=90_000)
    store = FakeStore()
    first = Watcher(store)
    async with running(first):
        await settled(first, store)
        runs.add("told", "completed")
        await first.came(1)
        await kept(store)
    for number in range(45):
        runs.add(f"{number:02}-new", "completed")
    runs.add("open", "interrupted", "i-1")
    looks = len(server.requests)
    second = Watcher(store, poll_interval=0.5)
    async with running(second):
        await second.came(46)
        looks = len(server.requests) - looks
        await asyncio.sleep(0.4)
    assert sorted(second.seen) == sorted(
        [(f"{number:02}-new", "completed") for number in range(45)] + [("open", "interrupted")]
    )
    if "by id" not in runs.order:
        # Three pages (or 16), what it takes to learn their size and to find the end, and a look at the open one.
        assert looks < 12 + 60 // min(runs.largest, 46) + 12 * (not runs.counts)


@every_kind
async def test_a_run_that_is_shown_late_is_found_by_the_next_deep_pass(
    listing: tuple[Listing, ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_DEEP_EVERY", 0.3)
    runs, _ = listing
    runs.add_old(50)
    store = FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        for number in range(70):
            runs.add(f"{number:02}-new", "completed", age=100)
        await watcher.came(70)
        # Beyond several pages of what is known by now.
        runs.add("late", "error", age=500)
        await watcher.came(71)
        await asyncio.sleep(0.6)
        # Too late: nobody looks there any more.
        runs.add("too late", "error", age=2000)
        await asyncio.sleep(0.8)
    assert watcher.seen[70:] == [("late", "error")]


async def test_pages_that_move_while_they_are_read_hide_nothing(listing: tuple[Listing, ScriptedServer]) -> None:
    runs, server = listing
    runs.add_old(200)
    for number in range(30):
        runs.add(f"open-{number}", "interrupted", "i-1", age=3000 + 100 * number)
    store = FakeStore()

    def more(request: object) -> None:
        # With each page that is read, three more come in.
        for number in range(3):
            runs.add(f"new-{len(server.requests):03}-{number}", "completed")

    runs.fault = more
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        runs.fault = lambda request: None
        for number in range(30):
            runs.add(f"open-{number}", "completed")
        await until(lambda: len([run_id for run_id, _ in watcher.seen if run_id.startswith("open")]) >= 30)
        await asyncio.sleep(0.3)
    assert len(watcher.events) == len(set(watcher.seen))
    new = {run_id for run_id, _ in watcher.seen if run_id.startswith("new")}
    # Those that came in before the first page was shown were there already.
    assert {run_id for run_id in runs.runs if run_id.startswith("new")} - new <= {f"new-001-{n}" for n in range(3)}


async def test_a_listing_without_questions_has_them_looked_up(listing: tuple[Listing, ScriptedServer]) -> None:
    runs, _ = listing
    store = FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)

        def hide(request: Any) -> Any:
            if request.path == "/v1/runs":
                hidden = Listing()
                hidden.runs = {run_id: {**run, "interrupts": None} for run_id, run in runs.runs.items()}
                return hidden(request)
            return None

        runs.fault = hide
        for number in range(6):
            runs.add(f"r-{number}", "interrupted", "i-1")
        await watcher.came(6)
        for number in range(6):
            runs.add(f"r-{number}")
        await asyncio.sleep(0.3)
        for number in range(6):
            runs.add(f"r-{number}", "interrupted", "i-2")
        await watcher.came(12)
        await asyncio.sleep(0.3)
    assert sorted(watcher.seen) == sorted([(f"r-{number}", "interrupted") for number in range(6)] * 2)


async def test_entries_that_cannot_be_read_hide_no_others(
    listing: tuple[Listing, ScriptedServer], caplog: pytest.LogCaptureFixture
) -> None:
    runs, _ = listing
    store = FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        runs.add("1", "completed", agent={"type": "odd"})
        runs.add("2", "interrupted", "i-1", interrupts=[{"id": 5}, {"id": "i-1"}, "odd"])
        runs.add("3", "error", created_at="odd")
        runs.runs["4"] = {"created_at": "2026-01-01T00:00:00Z", "id": 4}
        runs.add("5", "completed", output="odd")
        await watcher.came(3)
        await asyncio.sleep(0.3)
    assert sorted(watcher.seen) == [("1", "completed"), ("2", "interrupted"), ("5", "completed")]
    assert caplog.text.count("without a moment of creation") == 1


async def test_what_ends_while_somebody_waits_to_be_let_in_is_not_kept_from_him(
    listing: tuple[Listing, ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_DEEP_EVERY", 0.1)
    runs, _ = listing
    runs.add_old(100)
    runs.add("open", age=8000)
    runs.add("newest", "completed")
    store = FakeStore()
    first = Watcher(store)
    async with running(first):
        await settled(first, store)
        hold, under_way = threading.Event(), threading.Event()

        def hold_up(request: Received) -> None:
            if request.path == "/v1/runs" and not hold.is_set():
                under_way.set()
                hold.wait(20)

        runs.fault = hold_up
        await until(under_way.is_set)
        # He has been away for longer, so that what the others know is not enough for him.
        kept_before = dict(store.cursor, horizon=int(time.time()) - 4000)
        second = Watcher(FakeStore(), statuses=["completed", "error"])
        await second.trigger.asset_state_store.aset(second.trigger._key, kept_before)
        async with running(second):
            await asyncio.sleep(0.3)
            runs.add("open", "completed")
            await first.came(1)
            hold.set()
            await second.came(1)
    assert first.seen == second.seen == [("open", "completed")]


async def test_a_service_without_runs(listing: tuple[Listing, ScriptedServer]) -> None:
    runs, _ = listing
    store = FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        # Even by a clock that is an hour behind.
        runs.add("first", "completed", age=3600)
        await watcher.came(1)
        await until(lambda: bool(store.cursor["ended"]))
    assert watcher.seen == [("first", "completed")]


async def test_a_listing_that_has_no_end_is_not_read_for_ever(
    listing: tuple[Listing, ScriptedServer], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow_provider_agentruns.events import reading

    monkeypatch.setattr(reading, "MOST_PAGES", 30)
    runs, server = listing
    runs.add_old(1000)
    store = FakeStore()
    watcher = Watcher(store, poll_interval=0.2)
    async with running(watcher):
        await settled(watcher, store)
        assert "has more than 30 pages" in caplog.text
        assert len(server.requests) < 40
        runs.add("new", "completed")
        await watcher.came(1)
    assert watcher.seen == [("new", "completed")]
