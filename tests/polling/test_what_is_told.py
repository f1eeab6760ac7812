# SPDX-License-Identifier: Apache-2.0
"""An event is fired for what is so now, and not for what an older or an incomplete answer shows."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from airflow_provider_agentruns.polling import registry
from tests.hooks.connections import connection_json, open_sockets
from tests.polling.scripted import Service, came_to, waiting
from tests.support.scripted_server import Received, Reply, ScriptedServer, answer
from tests.triggers.waiting import ENV, until


class Held:
    """Has the next answer of the listing be made at once, and sent when the test says so."""

    def __init__(self, service: Service) -> None:
        self.holds = threading.Event()
        self._go_on = threading.Event()
        self._service = service

    @contextmanager
    def next_page(self) -> Iterator[None]:
        """Hold the next page for as long as the block lasts, after which all are sent at once again."""
        self._service.listing = self._hold
        try:
            yield
        finally:
            self._service.listing = lambda _: None
            self._go_on.set()

    def _hold(self, request: Received) -> Reply:
        page = self._service.page()
        self.holds.set()
        self._go_on.wait(20)
        return page


@pytest.mark.parametrize("followed", [True, False], ids=["someone waits for it already", "nobody does"])
async def test_an_interrupt_from_before_the_wait_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch, followed: bool
) -> None:
    service = Service(10)
    held = Held(service)
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        others = waiting(*service.ids[1:])
        if followed:
            others += waiting("r-0", wait_for=["completed"])
        service.end("r-0", status="interrupted")
        with held.next_page():
            await until(held.holds.is_set)
            # It has just been answered by the worker who now waits for what comes next.
            service.end("r-0", status="running")
            [task] = waiting("r-0")
            await asyncio.sleep(0)
        seen = len(server.requests)
        await until(lambda: len(server.requests) >= seen + 2)
        assert not task.done()
        service.end()
        assert await task == {"run_id": "r-0", "status": "completed"}
        assert came_to(await asyncio.gather(*others)) == {"completed"}


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("completed", {"output": None}),
        ("completed", {}),
        ("interrupted", {"interrupts": []}),
        ("interrupted", {"interrupts": None}),
    ],
)
async def test_a_listed_status_ends_the_wait_whatever_else_the_entry_omits(
    monkeypatch: pytest.MonkeyPatch, status: str, shown: dict[str, object]
) -> None:
    service = Service(6)
    listed = [{"id": run_id, "status": status, **shown} for run_id in service.ids]
    service.listing = lambda _: answer({"has_more": False, "data": listed})
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        assert came_to(await asyncio.gather(*waiting(*service.ids))) == {status}
        assert {request.path for request in server.requests} <= {"/v1/runs", "/v1/runs/r-0"}


async def test_what_the_listing_shows_whole_is_told_without_another_read(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(9)
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waiting(*service.ids)
        await until(lambda: len(server.requests) >= 2)
        service.end(*service.ids[:3])
        service.end(*service.ids[3:6], status="error")
        service.end(*service.ids[6:], status="interrupted")
        events = await asyncio.gather(*tasks)
        assert {request.path for request in server.requests} == {"/v1/runs"}
    assert [event["status"] for event in events] == ["completed"] * 3 + ["error"] * 3 + ["interrupted"] * 3


async def test_one_run_is_told_to_each_who_waits_by_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(6)
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waiting(*service.ids)
        [only_the_end] = waiting("r-0", wait_for=["completed"])
        await until(lambda: len(server.requests) >= 2)
        service.end(status="interrupted")
        assert came_to(await asyncio.gather(*tasks)) == {"interrupted"}
        assert not only_the_end.done()
        service.end(status="error")
        assert came_to([await only_the_end]) == {"error"}


async def test_a_status_that_is_new_is_waited_through_on_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(6)
    service.end(status="pondering")
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waiting(*service.ids)
        await until(lambda: len(server.requests) >= 3)
        assert not any(task.done() for task in tasks)
        service.end()
        assert came_to(await asyncio.gather(*tasks)) == {"completed"}


class TestEndTime:
    """The end of a wait comes in time, whatever the service does."""

    async def test_it_passes_for_each_by_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        service = Service(12)
        now = time.time()
        with ScriptedServer(service) as server:
            monkeypatch.setenv(ENV, connection_json(server.url))
            early = waiting(*service.ids[:4], interval=30.0, end_time=now + 0.3)
            later = waiting(*service.ids[4:8], interval=30.0, end_time=now + 1.0)
            [passed] = waiting(service.ids[8], interval=30.0, end_time=now - 60.0)
            assert came_to([await passed]) == {"AgentRunTimeoutError"}
            events = await asyncio.gather(*early)
            assert came_to(events) == {"AgentRunTimeoutError"}
            assert time.time() >= now + 0.3
            service.end()
            # A last look is taken.
            assert came_to(await asyncio.gather(*later)) == {"completed"}
        assert events[0]["message"] == "agent run r-0 is running at the end of the wait"

    async def test_it_passes_while_the_service_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry, "_LAST_READ", 0.3)
        before = asyncio.all_tasks()
        hangs = answer({}, delay=60)
        service = Service(12, listing=lambda _: hangs, single=lambda _: hangs)
        with ScriptedServer(service) as server:
            monkeypatch.setenv(ENV, connection_json(server.url))
            events = await asyncio.gather(*waiting(*service.ids, end_time=time.time() + 0.5, within=10.0))
            assert open_sockets(server.port) == 0
        assert came_to(events) == {"AgentRunTimeoutError"}
        assert {event["message"].partition(" is ")[2] for event in events} == {
            "of unknown status at the end of the wait"
        }
        assert asyncio.all_tasks() == before

    async def test_it_passes_while_the_listing_alone_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry, "_LAST_READ", 1.5)
        service = Service(12, listing=lambda _: answer({}, delay=60))
        service.end()
        with ScriptedServer(service) as server:
            monkeypatch.setenv(ENV, connection_json(server.url))
            events = await asyncio.gather(*waiting(*service.ids, end_time=time.time() + 1.0))
        # There is time for a last look at each.
        assert came_to(events) == {"completed"}

    async def test_it_passes_while_all_wait_for_the_service_to_come_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry, "_LAST_READ", 0.3)
        monkeypatch.setenv(ENV, connection_json("http://127.0.0.1:1"))
        events = await asyncio.gather(*waiting(*Service(12).ids, end_time=time.time() + 1.0, within=10.0))
        assert came_to(events) == {"AgentRunTimeoutError"}
