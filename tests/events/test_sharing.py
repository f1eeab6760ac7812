# SPDX-License-Identifier: Apache-2.0
"""However many watch, they look once; and who is cancelled leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.events.watchers import BUSINESS, FakeStore, Watcher, running, settled
from tests.hooks.connections import connection_json, open_sockets
from tests.support.scripted_server import ScriptedServer, answer
from tests.triggers.waiting import ENV, event_of, until

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")


async def looks_within(emulator: Emulator, seconds: float) -> int:
    """Count the requests that come within some seconds."""
    before = len(emulator.requests)
    await asyncio.sleep(seconds)
    return len(emulator.requests) - before


async def test_all_watchers_share_one_look(agent_runs_emulator: Emulator) -> None:
    service = agent_runs_emulator.service
    service.add_finished_runs(2000)
    runs = [service.create_run("needs_approval", business_id=BUSINESS) for _ in range(30)]
    store = FakeStore()
    first = Watcher(store, poll_interval=0.2)
    others = [Watcher(poll_interval=0.2 + index) for index in range(8)] + [Watcher(agent="slow", poll_interval=0.2)]
    async with running(first, *others):
        await settled(first, store)
        # 21 pages, once. Nobody else had to read them, too.
        assert agent_runs_emulator.count("GET", "/v1/runs/.+") == 0
        assert len(agent_runs_emulator.requests) < 40
        # The open runs are on the newest page, and need no looks of their own.
        assert await looks_within(agent_runs_emulator, 2.0) <= 12
        for run in runs:
            service.answer(run.id, service.get_run(run.id).interrupts[0]["id"], "approve")
        for watcher in (first, *others[:-1]):
            await watcher.came(30)
    assert all(sorted(watcher.seen) == sorted(first.seen) for watcher in others[:-1])
    assert others[-1].events == []


async def test_who_comes_later_needs_no_looks_of_his_own(agent_runs_emulator: Emulator) -> None:
    service, store = agent_runs_emulator.service, FakeStore()
    service.add_finished_runs(3000)
    open_run = service.create_run("needs_approval", business_id=BUSINESS)
    first = Watcher(store, poll_interval=0.2)
    async with running(first):
        await settled(first, store)
        later = Watcher(poll_interval=0.2)
        async with running(later):
            assert await looks_within(agent_runs_emulator, 1.0) <= 7
            service.answer(open_run.id, service.get_run(open_run.id).interrupts[0]["id"], "approve")
            await first.came(1)
            await later.came(1)
    assert first.seen == later.seen == [(open_run.id, "completed")]


async def test_who_wants_another_agent_later_is_not_told_of_what_was_over_before(agent_runs_emulator: Emulator) -> None:
    service, store = agent_runs_emulator.service, FakeStore()
    over = service.create_run("slow", business_id=BUSINESS)
    first = Watcher(store, agent="instant", poll_interval=0.05)
    async with running(first):
        await settled(first, store)
        await until(lambda: service.get_run(over.id).finished)
        # It is off the first page, and nobody has wanted to know.
        for _ in range(600):
            service.create_run("fails", business_id=BUSINESS)
        await asyncio.sleep(0.3)
        later = Watcher(agent="slow", poll_interval=0.05)
        async with running(later):
            await asyncio.sleep(0.8)
            new = service.create_run("slow", business_id=BUSINESS)
            await later.came(1)
    assert later.seen == [(new.id, "completed")]


async def test_watchers_and_waits_share_one_watch(agent_runs_emulator: Emulator) -> None:
    service, store = agent_runs_emulator.service, FakeStore()
    watcher = Watcher(store, poll_interval=0.1)
    async with running(watcher):
        await settled(watcher, store)
        runs = [service.create_run("slow", business_id=BUSINESS) for _ in range(40)]
        events = await asyncio.gather(*(event_of(AgentRunTrigger(run.id, poll_interval=0.1)) for run in runs))
        assert {event["status"] for event in events} == {"completed"}
        await watcher.came(40)
    assert len(watcher.events) == 40
    assert agent_runs_emulator.count("GET", "/v1/runs/.+") < 40
    assert open_sockets(agent_runs_emulator.port) == 0


async def test_who_is_cancelled_leaves_nothing_behind(agent_runs_emulator: Emulator) -> None:
    service, store = agent_runs_emulator.service, FakeStore()
    service.create_run("needs_approval", business_id=BUSINESS)
    before = asyncio.all_tasks()
    watchers = [Watcher(store), Watcher(agent="instant"), Watcher(statuses=["error"])]
    async with running(*watchers):
        await settled(watchers[0], store)
        assert open_sockets(agent_runs_emulator.port) > 0
    assert open_sockets(agent_runs_emulator.port) == 0
    assert asyncio.all_tasks() == before
    gc.collect()


async def test_who_is_cancelled_during_a_request_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    before = asyncio.all_tasks()
    with ScriptedServer([answer({"data": []}, delay=30)]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        async with running(Watcher()):
            await until(lambda: bool(server.requests))
        assert open_sockets(server.port) == 0
    assert asyncio.all_tasks() == before
    gc.collect()


async def test_who_is_cancelled_while_airflow_takes_an_event_leaves_nothing_behind(
    agent_runs_emulator: Emulator,
) -> None:
    """A triggerer cancels its task for the trigger, which may not be waiting inside the trigger just then."""
    before = asyncio.all_tasks()
    trigger = Watcher(FakeStore()).trigger
    events = trigger.run()
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.4)
    agent_runs_emulator.service.create_run("instant", business_id=BUSINESS)
    await first
    assert open_sockets(agent_runs_emulator.port) > 0
    await trigger.cleanup()
    assert open_sockets(agent_runs_emulator.port) == 0
    assert asyncio.all_tasks() == before
    await events.aclose()
