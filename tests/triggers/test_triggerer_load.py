# SPDX-License-Identifier: Apache-2.0
"""Waits leave nothing behind and never block the triggerer's event loop, which all triggers share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.hooks.connections import connection_json
from tests.support.scripted_server import ScriptedServer, answer
from tests.triggers.waiting import ENV, event_of

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")


@asynccontextmanager
async def lateness() -> AsyncIterator[list[float]]:
    """Measure by how many seconds a task that wakes every 10 ms is late."""
    late = []

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            late.append(time.monotonic() - before - 0.01)

    task = asyncio.create_task(tick())
    await asyncio.sleep(0.02)
    yield late
    task.cancel()


@pytest.mark.parametrize(
    "output",
    [
        {"artifacts": [{"title": "Report", "sources": [{"url": "https://example.com/page"}] * 5}] * 22_000},
        {"artifacts": [{"summary": "x" * 5_000_000}]},
        {"artifacts": 17, "more": list(range(700_000))},
    ],
    ids=["many artifacts", "a long text", "unreadable"],
)
async def test_a_large_output_does_not_block_the_loop(monkeypatch: pytest.MonkeyPatch, output: object) -> None:
    reply = answer({"id": "r-1", "output": output, "status": "completed"})
    with ScriptedServer([reply]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        async with lateness() as late:
            begun = time.monotonic()
            assert await event_of(AgentRunTrigger("r-1")) == {"run_id": "r-1", "status": "completed"}
            assert time.monotonic() - begun < 5.0
    assert max(late) < 1.0
