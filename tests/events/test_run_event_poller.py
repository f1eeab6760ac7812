# SPDX-License-Identifier: Apache-2.0
"""Polls over real HTTP: each changed run is found once, with few requests, whatever the listing is like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tenacity import wait_exponential

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.events import run_event_poller
from airflow_provider_agentruns.events.run_event_poller import RunEventPoller
from airflow_provider_agentruns.events.run_tracker import RunTracker
from tests.events.listing import Listing
from tests.support.scripted_server import LOST, Reply, ScriptedServer, Serve, answer, errors, html

Served = tuple[Listing, ScriptedServer]

KINDS: dict[str, dict[str, Any]] = {
    "newest first": {},
    "oldest first, no count": {"order": "oldest first", "counts": False},
    "unordered, no count": {"order": "by id", "counts": False},
    "pages of three": {"largest": 3},
}


@pytest.fixture
def listing(request: pytest.FixtureRequest, serve: Serve) -> Served:
    listing = Listing(**getattr(request, "param", {}))
    return listing, serve(listing)


every_kind = pytest.mark.parametrize("listing", KINDS.values(), ids=KINDS, indirect=True)


class Polls:
    """
    A poller with hardly any pauses after failures, whose events are all stored.

    :param tracker: Where to continue.
    """

    def __init__(self, tracker: RunTracker | None = None) -> None:
        self.poller = RunEventPoller("agentruns_default", 30.0, tracker)
        self.poller._retrying.wait = wait_exponential(multiplier=0.01)
        self.tracker = self.poller.tracker

    async def once(self) -> dict[str, str]:
        """Poll, and return the status of each run that changed."""
        async with asyncio.timeout(120):
            changes = await self.poller.poll()
        self.tracker.record(changes)
        self.tracker.advance(self.poller.read_until)
        assert len({run.run_id for run in changes}) == len(changes)
        return {run.run_id: run.status for run in changes}


@asynccontextmanager
async def polls(tracker: RunTracker | None = None) -> AsyncIterator[Polls]:
    polls = Polls(tracker)
    try:
        yield polls
    finally:
        await polls.poller.close()


@every_kind
async def test_new_runs_are_found_and_existing_ones_are_not_new(listing: Served) -> None:
    runs, server = listing
    runs.add_old(130)
    runs.add("open", "interrupted", "i-1", age=90_000)
    runs.add("young", "error", age=30)
    async with polls() as watcher:
        assert await watcher.once() == {}
        for number in range(50):
            runs.add(f"{number:02}-new", "completed")
        runs.add("open", "completed")
        runs.add("working")
        expected = {f"{number:02}-new": "completed" for number in range(50)}
        assert await watcher.once() == {**expected, "open": "completed", "working": "running"}
        runs.add("working", "error")
        assert await watcher.once() == {"working": "error"}
        before = len(server.requests)
        assert await watcher.once() == {}
        if runs.order != "by id":
            # One page; oldest first, the last page may be followed by an empty one.
            assert len(server.requests) - before <= 2


@every_kind
async def test_after_a_restart_it_reads_back_to_its_cursor(listing: Served) -> None:
    runs, server = listing
    runs.add_old(400)
    runs.add("open", age=90_000)
    async with polls() as first:
        await first.once()
        runs.add("reported", "completed")
        assert await first.once() == {"reported": "completed"}
    for number in range(45):
        runs.add(f"{number:02}-new", "completed")
    runs.add("open", "interrupted", "i-1")
    before = len(server.requests)
    async with polls(first.tracker) as second:
        expected = {f"{number:02}-new": "completed" for number in range(45)}
        assert await second.once() == {**expected, "open": "interrupted"}
    if runs.order != "by id":
        # The new pages, what it takes to find the last one, and the old run on its own.
        assert len(server.requests) - before < 6 + 48 // min(runs.largest, 46) + 14 * (not runs.counts)


async def test_entries_that_cannot_be_read_hide_no_others(
    listing: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run_event_poller, "_DEEP_INTERVAL", 0.0)
    runs, _ = listing
    async with polls() as watcher:
        await watcher.once()
        runs.add("1", "completed", age=500, agent={"type": "odd"})
        runs.add("2", "error", created_at="odd")
        runs.runs["3"] = {"created_at": "2026-01-01T00:00:00Z", "id": 4}
        runs.add("4\n", "completed", age=400)
        runs.add("5" * 300, "completed", age=300)
        runs.add("6", "completed", age=200)
        assert await watcher.once() == {"6": "completed"}
        assert await watcher.once() == {}
    assert "5 agent runs without a creation time or a usable ID get no events" in caplog.text


async def test_creation_times_by_wrong_clocks_hide_no_runs(listing: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_event_poller, "_DEEP_INTERVAL", 0.0)
    runs, _ = listing
    async with polls() as watcher:
        await watcher.once()
        runs.add("past", "completed", age=3600)
        assert await watcher.once() == {"past": "completed"}
        runs.add("future", "completed", age=-90_000)
        assert await watcher.once() == {"future": "completed"}
        runs.add("now", "completed")
        assert await watcher.once() == {"now": "completed"}


async def test_old_unfinished_runs_are_read_in_turn(listing: Served) -> None:
    runs, server = listing
    runs.add_old(100)
    for number in range(40):
        # Each on a page of its own.
        runs.add(f"open-{number:02}", "interrupted", "i-1", age=10_000 + 3000 * number)
        for other in range(20):
            runs.add(f"between-{number}-{other}", "completed", age=10_100 + 3000 * number + other)
    async with polls() as watcher:
        await watcher.once()
        for number in range(40):
            runs.add(f"open-{number:02}", "completed")
        found = [len(await watcher.once()) for _ in range(6)]
    assert found == [8, 8, 8, 8, 8, 0]
    assert sum(request.path != "/v1/runs" for request in server.requests) == 40


async def test_many_recent_unfinished_runs_need_no_requests_of_their_own(listing: Served) -> None:
    runs, server = listing
    runs.add_old(100)
    async with polls() as watcher:
        await watcher.once()
        for number in range(100):
            runs.add(f"r-{number}")
        assert len(await watcher.once()) == 100
        for number in range(100):
            runs.add(f"r-{number}", "completed")
        assert len(await watcher.once()) == 100
    assert {request.path for request in server.requests} == {"/v1/runs"}


async def test_a_deleted_run_is_forgotten_unless_it_is_new(listing: Served) -> None:
    runs, _ = listing
    for run_id, age in {"old": 1000, "new": 0, "other": 0}.items():
        runs.add(run_id, age=age)
    async with polls() as watcher:
        await watcher.once()
        del runs.runs["old"], runs.runs["new"]
        assert await watcher.once() == {}
        assert watcher.tracker.unfinished.keys() == {"new", "other"}


@pytest.mark.parametrize("fault", [errors(401, "Not yours"), LOST], ids=str)
async def test_a_run_that_cannot_be_read_does_not_stop_the_others(
    listing: Served, fault: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    runs, _ = listing
    runs.add_old(100)
    runs.add("r-1", age=90_000)
    async with polls() as watcher:
        await watcher.once()
        runs.fault = lambda request: fault if request.path == "/v1/runs/r-1" else None
        runs.add("new", "completed")
        assert await watcher.once() == {"new": "completed"}
        assert "Cannot read agent run r-1, and will try again" in caplog.text
        runs.fault = lambda request: None
        runs.add("r-1", "completed")
        assert await watcher.once() == {"r-1": "completed"}


@pytest.mark.parametrize("fault", [errors(401, "No"), errors(422, "Odd"), html(), answer({"data": 5}), LOST], ids=str)
async def test_a_failing_service_is_waited_for(listing: Served, fault: Reply) -> None:
    runs, _ = listing
    runs.add_old(400)
    runs.add("open", age=90_000)
    left = [fault]
    # The first poll fails amid the listing, unless the status says that there are no more pages.
    page = "1" if fault.status == 422 else "11"
    runs.fault = lambda request: left.pop() if left and request.query.get("page") == page else None
    async with polls() as watcher:
        assert await watcher.once() == {}
        runs.add("open", "error")
        runs.add("new", "completed")
        left, page = [fault] * 2, "1"
        assert await watcher.once() == {"open": "error", "new": "completed"}


async def test_pages_that_are_too_large_are_requested_smaller(listing: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, server = listing
    runs.largest = 100
    for number in range(150):
        runs.add(f"{number:03}", "completed", age=number, output={"artifacts": ["x" * 500]})
    monkeypatch.setattr(requests, "_MAX_STATE_BYTES", 20_000)
    runs.fault = lambda request: errors(400, "Too large") if int(request.query["per_page"]) > 50 else None
    async with polls() as watcher:
        assert await watcher.once() == {}
        runs.add("new", "completed")
        assert await watcher.once() == {"new": "completed"}
    # The second poll starts with what the first one learned.
    assert sum(int(request.query["per_page"]) > 25 for request in server.requests) == 2
