# SPDX-License-Identifier: Apache-2.0
"""Waits leave nothing behind and never block the triggerer's event loop, which all triggers share."""

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
    """How late a task that wakes every 10 ms was at most."""

    worst = 0.0


@asynccontextmanager
async def ticker() -> AsyncIterator[Lateness]:
    """Run a task that wakes every 10 ms for the duration of the block."""
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
def waiting_run(agent_runs_emulator: Emulator) -> str:
    """Return the ID of a run with an interrupt that nobody answers."""
    return agent_runs_emulator.service.create_run("needs_approval", business_id=BUSINESS).id


def endless_wait(run_id: str) -> AgentRunTrigger:
    """Return a trigger whose status never comes."""
    return AgentRunTrigger(run_id, wait_for=["completed"], poll_interval=0.1)


async def test_a_wait_that_is_cancelled_leaves_nothing_behind(agent_runs_emulator: Emulator, waiting_run: str) -> None:
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(event_of(endless_wait(waiting_run)))
    await until(lambda: agent_runs_emulator.count("GET", ".*") >= 2)
    assert open_sockets(agent_runs_emulator.port) > 0
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert open_sockets(agent_runs_emulator.port) == 0
    assert asyncio.all_tasks() == before
    # The run goes on: a triggerer that restarts cancels its waits, too.
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


async def test_the_poll_interval_has_a_lower_bound(agent_runs_emulator: Emulator, waiting_run: str) -> None:
    trigger = AgentRunTrigger(waiting_run, wait_for=["completed"], poll_interval=0, end_time=time.time() + 0.65)
    assert trigger.poll_interval == SHORTEST_POLL_INTERVAL == 0.1
    await event_of(trigger)
    assert 2 <= len(agent_runs_emulator.requests) <= 8


def busy(case: Case) -> ScriptBody:
    """Work for a second."""
    yield Work(1, "work", "Works")
    return [{"title": "Done", "type": "report"}]


@pytest.mark.agent_runs(speed=1, agents={"busy": busy})
async def test_many_waits_do_not_block_the_loop(agent_runs_emulator: Emulator) -> None:
    create = agent_runs_emulator.service.create_run
    ids = [create("busy", business_id=BUSINESS).id for _ in range(50)]
    async with ticker() as lateness:
        events = await asyncio.gather(*(event_of(AgentRunTrigger(run_id, poll_interval=0.2)) for run_id in ids))
    assert [event["status"] for event in events] == ["completed"] * 50
    assert lateness.worst < 1.0
    assert open_sockets(agent_runs_emulator.port) == 0


def run_with_output(output: str) -> Reply:
    """Respond with a completed run with a JSON text as its output."""
    return sent(b'{"id": "r-1", "output": %b, "status": "completed"}' % output.encode(), "application/json")


def large_output(kind: str) -> str:
    """Return 5 MB of output: small artifacts, one long text, or a shape that fits no model."""
    artifact = {"title": "Report", "type": "report", "sources": [{"url": "https://example.com/page"}] * 5}
    output = {
        "many artifacts": {"artifacts": [artifact] * 22_000},
        "a long text": {"artifacts": [{"summary": "x" * 5_000_000}]},
        "unreadable": {"artifacts": 17, "more": list(range(700_000))},
    }
    return json.dumps(output[kind])


@pytest.mark.parametrize("kind", ["many artifacts", "a long text", "unreadable"])
async def test_a_large_output_does_not_block_the_loop(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    output = large_output(kind)
    assert len(output) > 4_900_000
    with ScriptedServer([run_with_output(output)]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        async with ticker() as lateness:
            begun = time.monotonic()
            assert await event_of(AgentRunTrigger("r-1")) == {"run_id": "r-1", "status": "completed"}
            assert time.monotonic() - begun < 5.0
    assert lateness.worst < 1.0
