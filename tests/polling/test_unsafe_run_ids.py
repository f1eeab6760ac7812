# SPDX-License-Identifier: Apache-2.0
"""A run ID can come from XCom, so it can hold anything. No line break or control character of it reaches a log."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_agentruns.polling.registry import wait_for_run
from tests.hooks.connections import connection_json
from tests.polling.scripted import Service
from tests.support.scripted_server import ScriptedServer, errors
from tests.triggers.waiting import ENV, until

UNSAFE = "r-9\n\x1b[31mAll is well"


async def test_messages_are_printable_and_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(5)
    service.listing = lambda _: errors(503, "down")
    messages: list[str] = []

    def log(level: int, message: str, *args: object, **fields: object) -> None:
        messages.append(message % args)

    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        waits = [wait_for_run(it, "agentruns_default", [], interval=0.2, log=log) for it in (*service.ids, UNSAFE)]
        tasks = [asyncio.create_task(wait) for wait in waits]
        await until(lambda: len(messages) >= 6)
        service.end()
        results = await asyncio.gather(*tasks)
    assert results[-1]["error"] == "AgentRunsValueError"
    texts = [*messages, *(result.get("message", "") for result in results)]
    assert any("All is well" in text for text in messages)
    assert all(text.isprintable() for text in texts)
