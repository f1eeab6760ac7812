# SPDX-License-Identifier: Apache-2.0
"""With ``watch="stream"``, a change is noticed at once, and a stream that fails costs latency only."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_agentruns.emulator.script_steps import Ask, Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.polling import streams
from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.hooks.connections import open_sockets
from tests.polling.scripted import Service, outcomes, waiting
from tests.support import BUSINESS
from tests.support.scripted_server import LOST, Reply, Serve, errors, events, html
from tests.triggers.waiting import event_of, until

#: A poll interval that is longer than any test.
RARELY = 3600.0


def streaming(run_id: str, poll_interval: float = RARELY, **arguments: Any) -> AgentRunTrigger:
    return AgentRunTrigger(run_id, poll_interval=poll_interval, watch="stream", **arguments)


def steps_then_question(case: Case) -> ScriptBody:
    for number in range(5):
        yield Work(1, f"step_{number}", "Works")
    yield Ask([{"agent": "asks", "label": "Shall it?"}])
    yield Work(4, "after", "Works")
    return [{"title": "Done", "type": "report"}]


@pytest.mark.agent_runs(agents={"asking": steps_then_question}, speed=10)
async def test_a_change_is_noticed_though_the_next_poll_is_far_away(agent_runs_emulator: Emulator) -> None:
    service = agent_runs_emulator.service
    run = service.create_run("asking", business_id=BUSINESS)
    path = f"/v1/runs/{run.id}"
    assert await event_of(streaming(run.id)) == {"run_id": run.id, "status": "interrupted"}
    # Not one read per event: events of a running run say nothing new.
    assert agent_runs_emulator.count("GET", path) <= 6
    service.answer(run.id, run.interrupts[0]["id"], "approve")
    assert await event_of(streaming(run.id)) == {"run_id": run.id, "status": "completed"}
    assert agent_runs_emulator.count("GET", f"{path}/stream") == 2
    assert open_sockets(agent_runs_emulator.port) == 0


@pytest.mark.agent_runs(agents={"asking": steps_then_question}, speed=10, extra={"rate_limit": 1000, "max_streams": 2})
async def test_max_streams_is_respected(agent_runs_emulator: Emulator) -> None:
    service = agent_runs_emulator.service
    ids = [service.create_run("asking", business_id=BUSINESS).id for _ in range(5)]
    waits = [asyncio.create_task(event_of(streaming(run_id, 0.5, wait_for=["completed"]))) for run_id in ids]
    await until(lambda: agent_runs_emulator.count("GET", ".*/stream") == 2)
    for run_id in ids:
        await until(lambda run_id=run_id: service.runs[run_id].status == "interrupted")  # type: ignore[misc]
        service.answer(run_id, service.runs[run_id].interrupts[0]["id"], "approve")
    # The others are polled until a stream becomes free.
    assert {event["status"] for event in await asyncio.gather(*waits)} == {"completed"}
    assert agent_runs_emulator.count("GET", ".*/stream") <= 5


@pytest.mark.agent_runs(speed=0.01, extra={"rate_limit": 1000, "max_streams": 1})
async def test_a_stream_is_closed_with_the_last_wait_for_its_run(agent_runs_emulator: Emulator) -> None:
    first, second = (agent_runs_emulator.service.create_run("slow", business_id=BUSINESS).id for _ in range(2))
    followed = asyncio.create_task(event_of(streaming(first)))
    await until(lambda: agent_runs_emulator.count("GET", ".*/stream") == 1)
    polled = asyncio.create_task(event_of(AgentRunTrigger(first, poll_interval=RARELY)))
    other = asyncio.create_task(event_of(streaming(second)))
    await asyncio.sleep(0.1)
    for wait in (followed, polled):
        wait.cancel()
        await asyncio.gather(wait, return_exceptions=True)
    # The only stream is free for the other run.
    await until(lambda: agent_runs_emulator.count("GET", f"/v1/runs/{second}/stream") == 1)
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)


def service_with(*streams: Reply) -> Service:
    """Return a service with one run and these streams, one after the other."""
    left = iter(streams)
    return Service(
        1, single=lambda request: next(left, errors(404, "No stream")) if request.path.endswith("/stream") else None
    )


def event(kind: str, status: str | None = None) -> str:
    snapshot = {"snapshot": {"status": status, "steps": []}} if status else {}
    return f"event: {kind}\ndata: {json.dumps({'type': kind, 'run_id': 'r-0', **snapshot})}"


def lasting(*texts: str) -> Reply:
    """Send events, and keep the stream open."""

    def pieces() -> Iterator[bytes]:
        for text in texts:
            data = text.encode() + b"\n\n"
            yield b"%x\r\n%b\r\n" % (len(data), data)
        while True:
            yield b"5\r\n: \r\n\r\n"

    fields = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
    return Reply(headers=fields, pieces=pieces(), pause=0.05, close=True)


REPLAY = (event("RUN_STARTED"), event("STATE_SNAPSHOT", "running"), event("STATE_SNAPSHOT", "interrupted"))


async def test_a_broken_stream_is_opened_again_and_its_replay_ends_no_wait(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "_FIRST_PAUSE", 0.1)
    service = service_with(LOST, events(*REPLAY, cut=True), lasting(*REPLAY))
    server = serve(service)
    waiting = asyncio.create_task(event_of(streaming("r-0", wait_for=["completed", "interrupted"])))
    await until(lambda: len(server.seen("GET", "/v1/runs/r-0/stream")) == 3)
    reads = len(server.seen("GET", "/v1/runs/r-0"))
    # Each replay contains an old interrupt. It leads to a read of the run, which is running.
    await until(lambda: len(server.seen("GET", "/v1/runs/r-0")) > reads)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert open_sockets(server.port) == 0


@pytest.mark.parametrize(
    "stream",
    [errors(404, "None"), errors(403, "Not for you"), html(), LOST, lasting()],
    ids=["404", "403", "HTML", "lost", "lasting"],
)
async def test_a_run_without_a_stream_is_polled(serve: Serve, stream: Reply) -> None:
    service = service_with(stream)
    server = serve(service)
    waiting = asyncio.create_task(event_of(streaming("r-0", 0.2)))
    await until(lambda: len(server.seen("GET", "/v1/runs/r-0/stream")) == 1)
    service.end()
    assert await waiting == {"run_id": "r-0", "status": "completed"}


async def test_runs_are_polled_every_second_until_their_streams_are_open(serve: Serve) -> None:
    service = Service(30, single=lambda request: lasting() if request.path.endswith("/stream") else None)
    service.end()
    server = serve(service, rate_limit=4)
    assert outcomes(await asyncio.gather(*waiting(*service.ids, interval=RARELY, watch="stream"))) == {"completed"}
    assert sum(request.path.endswith("/stream") for request in server.requests) < 25


async def test_a_stream_that_keeps_ending_is_opened_less_and_less_often(serve: Serve) -> None:
    service = service_with(*[events(*REPLAY) for _ in range(100)])
    server = serve(service)
    await event_of(streaming("r-0", wait_for=["completed"], end_time=time.time() + 2.5))
    opened = server.seen("GET", "/v1/runs/r-0/stream")
    assert 2 <= len(opened) <= 3
    assert opened[1].at - opened[0].at >= 0.9
