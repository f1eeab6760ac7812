# SPDX-License-Identifier: Apache-2.0
"""What passes ends no watcher, and what does not is told clearly."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_agentruns.events import known, reading
from airflow_provider_agentruns.exceptions import AgentRunsAuthError, AgentRunsConfigError
from tests.events.listing import Listing
from tests.events.watchers import ENV, FakeStore, Watcher, running, settled
from tests.hooks.connections import connection_json, open_sockets
from tests.support.scripted_server import LOST, RESET_BEFORE, Received, Reply, ScriptedServer, answer, errors, html
from tests.triggers.waiting import until

Served = tuple[Listing, ScriptedServer]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Serve a listing; pauses are short."""
    monkeypatch.setattr(reading, "_LONGEST_PAUSE", 0.3)
    listing = Listing()
    with ScriptedServer(listing) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        yield listing, server


def pages_fail(reply: Reply) -> Any:
    """Answer for the listing so, and for runs as ever."""
    return lambda request: reply if request.path == "/v1/runs" else None


FAULTS = {
    "403": errors(403, "You may not list runs"),
    "404": errors(404, "No such thing"),
    "429": errors(429, "Too many"),
    "500": errors(500, "Down"),
    "503": errors(503, "Down"),
    "a page": html(),
    "no list": answer([]),
    "odd data": answer({"data": 5}),
    "lost": LOST,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_listing_that_fails_is_outlasted_and_what_is_open_is_followed(served: Served, fault: Reply) -> None:
    runs, server = served
    for number in range(6):
        runs.add(f"open-{number}")
    store = FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        runs.fault = pages_fail(fault)
        before = len(server.requests)
        await until(lambda: sum(request.path == "/v1/runs" for request in server.requests[before:]) >= 3)
        runs.add("new", "error")
        for number in range(6):
            runs.add(f"open-{number}", "completed")
        await watcher.came(6)
        assert {run_id for run_id, _ in watcher.seen} == {f"open-{number}" for number in range(6)}
        runs.fault = lambda request: None
        await watcher.came(7)
    assert watcher.seen[6:] == [("new", "error")]


@pytest.mark.parametrize("first", [errors(503, "Down"), RESET_BEFORE, errors(429, "Too many", Retry_After="0")])
async def test_a_service_that_is_down_at_the_start_is_waited_for(served: Served, first: Reply) -> None:
    runs, _ = served
    runs.add("old", "completed", age=5)
    runs.fault = lambda request: first
    store = FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await asyncio.sleep(0.6)
        runs.fault = lambda request: None
        await settled(watcher, store)
        runs.add("new", "completed")
        await watcher.came(1)
    assert watcher.seen == [("new", "completed")]


async def test_a_service_that_stays_down_is_asked_ever_more_seldom(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_LONGEST_PAUSE", 300.0)
    runs, server = served
    runs.fault = lambda request: errors(500, "Down")
    async with running(Watcher()):
        await asyncio.sleep(2.5)
        moments = [request.at for request in server.requests]
    # After some failures in a row, all who use the connection wait, ever longer.
    assert 3 <= len(moments) <= 5


async def test_a_page_that_fails_in_the_middle_is_read_again_and_not_all_of_them(served: Served) -> None:
    runs, server = served
    runs.add_old(400)
    runs.add("open", age=90_000)
    failures = iter([errors(500, "Down")] * 3)

    def fails(request: Received) -> Reply | None:
        return next(failures, None) if request.query.get("page") == "11" else None

    runs.fault = fails
    store = FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        pages = [request.query["page"] for request in server.requests if request.path == "/v1/runs"]
        assert pages.count("11") == 4
        assert pages.count("5") == 1
        runs.add("open", "error")
        await watcher.came(1)
    assert watcher.seen == [("open", "error")]


async def test_a_listing_that_refuses_deep_pages_is_read_as_far_as_it_goes(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    runs, server = served
    runs.add_old(400)
    runs.fault = lambda request: errors(422, "Too deep") if int(request.query.get("page", 1)) > 10 else None
    store = FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        assert "ends with a page that is refused" in caplog.text
        assert len(server.requests) < 30
        runs.add("new", "completed")
        await watcher.came(1)
    assert watcher.seen == [("new", "completed")]


async def test_the_limit_of_the_connection_is_kept(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, server = served
    monkeypatch.setenv(ENV, connection_json(server.url, rate_limit=10))
    runs.add_old(400)
    for number in range(40):
        runs.add(f"open-{number}", age=100 * number)
    watchers = [Watcher(poll_interval=1), Watcher(agent="a", poll_interval=2)]
    async with running(*watchers):
        await asyncio.sleep(4.2)
        moments = [request.at for request in server.requests]
    # Less than half of it, so that workers get through.
    assert 10 <= len(moments) <= 3.2 * 10 * 0.6
    assert all(later - earlier > 0.09 for earlier, later in itertools.pairwise(moments))


async def test_a_token_that_is_refused_for_good_fails_the_watcher(
    served: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    runs, server = served
    runs.fault = lambda request: errors(401, "A valid token is needed")
    before = asyncio.all_tasks()
    watchers = [Watcher(), Watcher(agent="a")]
    async with running(*watchers):
        for watcher in watchers:
            assert watcher.task is not None
            with pytest.raises(AgentRunsAuthError, match=r"returned 401: A valid token is needed\. Check the"):
                await asyncio.wait_for(watcher.task, 20)
    assert len(server.requests) == 4
    assert asyncio.all_tasks() == before
    assert open_sockets(server.port) == 0
    assert capfd.readouterr().out.count("Cannot watch agent runs over connection 'agentruns_default': ") == 2


async def test_a_token_that_is_changed_is_picked_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, server = served
    good = {"token-0"}
    runs.fault = lambda request: (
        None if request.headers["authorization"].removeprefix("Bearer ") in good else errors(401, "unknown token")
    )
    monkeypatch.setenv(ENV, connection_json(server.url, token="token-0"))
    store = FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        good.clear()
        good.add("token-1")
        monkeypatch.setenv(ENV, connection_json(server.url, token="token-1"))
        runs.add("new", "completed")
        await watcher.came(1)
    assert watcher.seen == [("new", "completed")]


async def test_a_connection_that_cannot_work_fails_the_watcher_but_not_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Airflow starts it anew at once, and for ever."""
    monkeypatch.setenv(ENV, "agentruns://@api.middesk.com")
    monkeypatch.setattr("airflow_provider_agentruns.triggers.agent_run._BEFORE_FAILING", 0.7)
    begun = time.monotonic()
    watcher = Watcher()
    async with running(watcher):
        assert watcher.task is not None
        with pytest.raises(AgentRunsConfigError, match=r"API token \(password\) is missing"):
            await asyncio.wait_for(watcher.task, 20)
    assert time.monotonic() - begun > 0.7


async def test_a_connection_that_airflow_does_not_give_for_a_moment_is_awaited(
    served: Served, monkeypatch: pytest.MonkeyPatch, airflow_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs, server = served
    monkeypatch.delenv(ENV)
    store = FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await until(lambda: "Cannot look for new agent runs, and go on trying: Airflow has no" in caplog.text)
        assert server.requests == []
        monkeypatch.setenv(ENV, connection_json(server.url))
        await settled(watcher, store)
        runs.add("new", "completed")
        await watcher.came(1)
    assert watcher.seen == [("new", "completed")]


async def test_a_watcher_that_has_failed_spoils_nothing_for_the_next(served: Served) -> None:
    runs, _ = served
    runs.fault = lambda request: errors(401, "A valid token is needed")
    first = Watcher()
    async with running(first):
        await until(lambda: first.task is not None and first.task.done())
    runs.fault = lambda request: None
    store = FakeStore()
    second = Watcher(store)
    async with running(second):
        await settled(second, store)
        runs.add("new", "completed")
        await second.came(1)


async def test_a_run_that_is_deleted_is_forgotten(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "_LOST_FOR", 0.1)
    monkeypatch.setattr(known, "_MAY_BE_MISSING", 0.1)
    runs, server = served
    for number in range(5):
        runs.add(f"r-{number}")
    store = FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        del runs.runs["r-0"]
        await until(lambda: "r-0" not in store.cursor["open"])
        asked = sum(request.path == "/v1/runs/r-0" for request in server.requests)
        await asyncio.sleep(0.5)
        assert sum(request.path == "/v1/runs/r-0" for request in server.requests) == asked
    assert watcher.events == []


async def test_runs_that_cannot_be_looked_at_are_told_of_together(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(known, "_LOST_FOR", 0.5)
    runs, _ = served
    runs.add_old(100)
    store = FakeStore()
    for number in range(10):
        runs.add(f"r-{number}", age=90_000)
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        runs.fault = lambda request: errors(403, "Not yours") if request.path != "/v1/runs" else answer({"data": []})
        await until(lambda: "agent runs cannot be looked at" in caplog.text)
        runs.fault = lambda request: None
        runs.add("r-3", "completed")
        await watcher.came(1)
    assert watcher.seen == [("r-3", "completed")]
    assert caplog.text.count("cannot be looked at") < 6


async def test_a_run_that_has_long_been_as_it_is_is_looked_at_less_often(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "_PATIENT_MOST", 1.0)
    runs, server = served
    runs.add_old(100)
    for number in range(2):
        runs.add(f"r-{number}", age=1e6)
    store = FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        await asyncio.sleep(0.3)
        before = len(server.requests)
        await asyncio.sleep(1.5)
        looks = [request for request in server.requests[before:] if request.query.get("page") != "1"]
        assert 1 <= len(looks) <= 4
        # Whose turn has come may be on its way to something else.
        runs.add("r-0", "interrupted", "i-1")
        await watcher.came(1)
        before = len(server.requests)
        await asyncio.sleep(0.5)
        assert sum(request.path == "/v1/runs/r-0" for request in server.requests[before:]) >= 4
