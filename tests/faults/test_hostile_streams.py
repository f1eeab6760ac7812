# SPDX-License-Identifier: Apache-2.0
"""Streams without end: they take no more memory than one event may take."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from airflow_provider_agentruns.client import transport
from airflow_provider_agentruns.exceptions import AgentRunsError
from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.faults.hostile import Spigot, bounded, without_end
from tests.hooks.conftest import HookUser
from tests.hooks.connections import connection_json
from tests.support.scripted_server import Received, Reply, ScriptedServer, answer
from tests.triggers.waiting import event_of

ENV = "AIRFLOW_CONN_AGENTRUNS_DEFAULT"


@pytest.mark.parametrize(
    ("piece", "status"),
    [
        pytest.param(b"x" * 65_536, 200, id="line"),
        pytest.param(b"data: " + b"x" * 1_000 + b"\n", 200, id="event"),
        pytest.param(b" " * 65_536, 500, id="error"),
    ],
)
def test_a_part_without_end_is_an_error(
    user: HookUser, monkeypatch: pytest.MonkeyPatch, piece: bytes, status: int
) -> None:
    monkeypatch.setattr(transport, "MAX_RESPONSE_BYTES", 8 * 1024 * 1024)
    spigot = Spigot(piece)
    with ScriptedServer([without_end(spigot, "text/event-stream", status)]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        with bounded(spigot), pytest.raises(AgentRunsError, match="larger than"):
            list(user.iterate("stream_run", "r-1"))
        spigot.closed.set()


def test_many_whole_events_take_no_memory(user: HookUser, monkeypatch: pytest.MonkeyPatch) -> None:
    event = b'event: STATE_SNAPSHOT\ndata: {"run_id": "r-1", "snapshot": {"x": "' + b"x" * 100_000 + b'"}}\n\n'
    spigot = Spigot(event)
    with ScriptedServer([without_end(spigot, "text/event-stream")]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        with bounded(spigot):
            assert len(list(itertools.islice(user.iterate("stream_run", "r-1"), 1_000))) == 1_000
        spigot.closed.set()


@pytest.mark.parametrize("watch", ["poll", "stream"])
def test_a_wait_continues_after_an_endless_response(monkeypatch: pytest.MonkeyPatch, watch: str) -> None:
    monkeypatch.setattr(transport, "MAX_RESPONSE_BYTES", 8 * 1024 * 1024)
    spigot, reads = Spigot(b" " * 65_536), itertools.count()

    def service(request: Received) -> Reply:
        if request.path.endswith("/stream"):
            return without_end(spigot, "text/event-stream")
        number = next(reads)
        if watch == "poll" and number < 2:
            return without_end(spigot)
        return answer({"object": "run", "id": "r-1", "status": "completed" if number > 3 else "running"})

    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        trigger = AgentRunTrigger("r-1", poll_interval=0.2, watch=watch)  # type: ignore[arg-type]
        with bounded(spigot):
            assert asyncio.run(event_of(trigger)) == {"run_id": "r-1", "status": "completed"}
        spigot.closed.set()
