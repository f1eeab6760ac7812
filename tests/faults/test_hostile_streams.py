# SPDX-License-Identifier: Apache-2.0
"""Streams without end: they take no more memory than one event may take."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from itertools import islice

import pytest

from airflow_provider_agentruns.client import transport
from airflow_provider_agentruns.exceptions import AgentRunsError
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.models import RunEvent
from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.faults.hostile import Spigot, bounded, without_end
from tests.hooks.connections import connection_json
from tests.support.scripted_server import Received, Reply, ScriptedServer, answer
from tests.triggers.waiting import event_of

ENV = "AIRFLOW_CONN_AGENTRUNS_DEFAULT"

Follow = Callable[[int | None], list[RunEvent]]


@pytest.fixture(params=["sync", "async"])
def follow(request: pytest.FixtureRequest) -> Follow:
    """Return a function that reads some or all events of a stream, with the sync or the async method."""

    def sync(most: int | None) -> list[RunEvent]:
        hook = AgentRunHook()
        try:
            return list(islice(hook.stream_run("r-1"), most))
        finally:
            hook.close()

    async def twin(most: int | None) -> list[RunEvent]:
        hook, events = AgentRunHook(), []
        try:
            async for event in hook.astream_run("r-1"):
                events.append(event)
                if len(events) == most:
                    break
        finally:
            await hook.aclose()
        return events

    return sync if request.param == "sync" else lambda most: asyncio.run(twin(most))


UNENDING = {
    "one line": b"x" * 65_536,
    "one event": b"data: " + b"x" * 1_000 + b"\n",
    "one comment": b": " + b"x" * 65_536,
}

#: Those that would fill the memory within seconds.
FAST = ("one line", "one comment")


@pytest.mark.parametrize("piece", UNENDING.values(), ids=UNENDING)
def test_an_event_without_end_is_an_error(follow: Follow, monkeypatch: pytest.MonkeyPatch, piece: bytes) -> None:
    spigot = Spigot(piece)
    with ScriptedServer([without_end(spigot, "text/event-stream")]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        with bounded(spigot), pytest.raises(AgentRunsError, match="larger than"):
            follow(None)
        spigot.closed.set()


def test_an_error_without_end_instead_of_a_stream(follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_RESPONSE_BYTES", 8 * 1024 * 1024)
    spigot = Spigot(b" " * 65_536)
    with ScriptedServer([without_end(spigot, status=500)]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        with bounded(spigot), pytest.raises(AgentRunsError, match="larger than"):
            follow(None)
        spigot.closed.set()


def test_many_whole_events_take_no_memory(follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    event = b'event: STATE_SNAPSHOT\ndata: {"run_id": "r-1", "snapshot": {"x": "' + b"x" * 100_000 + b'"}}\n\n'
    spigot = Spigot(event)
    with ScriptedServer([without_end(spigot, "text/event-stream")]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        with bounded(spigot):
            assert len(follow(1_000)) == 1_000
        spigot.closed.set()


@pytest.mark.parametrize("unending", FAST)
def test_a_wait_continues_after_such_a_stream(monkeypatch: pytest.MonkeyPatch, unending: str) -> None:
    spigot, looks = Spigot(UNENDING[unending]), itertools.count()

    def service(request: Received) -> Reply:
        if request.path.endswith("/stream"):
            return without_end(spigot, "text/event-stream")
        return answer({"object": "run", "id": "r-1", "status": "completed" if next(looks) > 3 else "running"})

    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        trigger = AgentRunTrigger("r-1", poll_interval=0.5, watch="stream")
        with bounded(spigot):
            assert asyncio.run(event_of(trigger)) == {"run_id": "r-1", "status": "completed"}
        spigot.closed.set()
