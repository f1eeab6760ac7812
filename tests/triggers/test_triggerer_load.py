# SPDX-License-Identifier: Apache-2.0
"""Waits leave nothing behind and never block the triggerer's event loop, which all triggers share."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.hooks.connections import connection_json
from tests.support.scripted_server import Reply, ScriptedServer, sent
from tests.triggers.waiting import ENV, event_of

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
