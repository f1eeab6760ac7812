# SPDX-License-Identifier: Apache-2.0
"""What a wait costs the triggerer: all triggers share its one event loop, and most of them end by being cancelled."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from airflow_provider_agentruns.emulator.scripts import Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.triggers.agent_run import SHORTEST_POLL_INTERVAL, AgentRunTrigger
from tests.hooks.connections import connection_json, open_sockets
from tests.support.scripted_server import Reply, ScriptedServer, answer, sent
from tests.triggers.waiting import BUSINESS, ENV, event_of, until

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")


class Lateness:
    """How late a task was, at worst, that wakes every 10 ms."""

    worst = 0.0


@asynccontextmanager
async def ticker() -> AsyncIterator[Lateness]:
    """Run a task that wakes every 10 ms, for as long as the block lasts."""
    lateness = Lateness()

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            lateness.worst = max(lateness.worst, time.monotonic() - before - 0.01)

    task = asyncio.create_task(tick())
    await asyncio.sleep(0.02)
    yield lateness
    task.cancel()


@pytest.fixture
def at_work(agent_runs_emulator: Emulator) -> str:
    """Return the id of a run that asks a question which nobody answers."""
    return agent_runs_emulator.service.create_run("needs_approval", business_id=BUSINESS).id


def endless_wait(run_id: str) -> AgentRunTrigger:
    """Return a trigger that waits for what never comes."""
    return AgentRunTrigger(run_id, wait_for=["completed"], poll_interval=0.1)


async def test_a_wait_that_is_cancelled_leaves_nothing_behind(agent_runs_emulator: Emulator, at_work: str) -> None:
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(event_of(endless_wait(at_work)))
    await until(lambda: agent_runs_emulator.count("GET", ".*") >= 2)
    assert open_sockets(agent_runs_emulator.port) > 0
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert open_sockets(agent_runs_emulator.port) == 0
    assert asyncio.all_tasks() == before
    # Nobody asked the service to end the run: a triggerer that restarts cancels its waits, too.
    assert {request.method for request in agent_runs_emulator.requests} == {"GET"}
    gc.collect()


async def test_a_wait_that_is_cancelled_during_a_request_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = asyncio.all_tasks()
    with ScriptedServer([answer({"status": "running"}, delay=30)]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        waiting = asyncio.create_task(event_of(endless_wait("r-1")))
        await until(lambda: bool(server.requests))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert open_sockets(server.port) == 0
    assert asyncio.all_tasks() == before
    gc.collect()


async def test_a_wait_that_has_ended_leaves_nothing_behind(agent_runs_emulator: Emulator) -> None:
    run = agent_runs_emulator.service.create_run("instant", business_id=BUSINESS)
    before = asyncio.all_tasks()
    assert await event_of(AgentRunTrigger(run.id)) == {"run_id": run.id, "status": "completed"}
    assert open_sockets(agent_runs_emulator.port) == 0
    assert asyncio.all_tasks() == before
    gc.collect()


async def test_no_wait_asks_without_a_pause(agent_runs_emulator: Emulator, at_work: str) -> None:
    trigger = AgentRunTrigger(at_work, wait_for=["completed"], poll_interval=0, end_time=time.time() + 0.65)
    assert trigger.poll_interval == SHORTEST_POLL_INTERVAL == 0.1
    await event_of(trigger)
    # One at once, one each tenth of a second, one when the time is up. When each arrives is the machine's affair.
    assert 2 <= len(agent_runs_emulator.requests) <= 8


def busy(case: Case) -> ScriptBody:
    """Works for a second."""
    yield Work(1, "work", "Works")
    return [{"title": "Done", "type": "report"}]


@pytest.mark.agent_runs(speed=1, agents={"busy": busy})
async def test_many_waits_do_not_hold_the_loop_up(agent_runs_emulator: Emulator) -> None:
    create = agent_runs_emulator.service.create_run
    ids = [create("busy", business_id=BUSINESS).id for _ in range(50)]
    async with ticker() as lateness:
        events = await asyncio.gather(*(event_of(AgentRunTrigger(run_id, poll_interval=0.2)) for run_id in ids))
    assert [event["status"] for event in events] == ["completed"] * 50
    assert lateness.worst < 0.3
    assert open_sockets(agent_runs_emulator.port) == 0


def run_with_output(output: str) -> Reply:
    """Answer with a completed run with some JSON text as its output."""
    return sent(b'{"id": "r-1", "output": %b, "status": "completed"}' % output.encode(), "application/json")


def large_output(kind: str) -> str:
    """Return 5 MB of output: in small artifacts, in a long one, or in a shape that fits no model."""
    artifact = {"title": "Report", "type": "report", "sources": [{"url": "https://example.com/page"}] * 5}
    output = {
        "many artifacts": {"artifacts": [artifact] * 22_000},
        "a long text": {"artifacts": [{"summary": "x" * 5_000_000}]},
        "unreadable": {"artifacts": 17, "more": list(range(700_000))},
    }
    return json.dumps(output[kind])


@pytest.mark.parametrize("kind", ["many artifacts", "a long text", "unreadable"])
async def test_a_large_output_is_not_read_for_a_status(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    output = large_output(kind)
    assert len(output) > 4_900_000
    with ScriptedServer([run_with_output(output)]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        async with ticker() as lateness:
            begun = time.monotonic()
            assert await event_of(AgentRunTrigger("r-1")) == {"run_id": "r-1", "status": "completed"}
            assert time.monotonic() - begun < 1.5
    assert lateness.worst < 0.3
