# SPDX-License-Identifier: Apache-2.0
"""The result of a wait is current, comes in time, and is logged where the waiting task logs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextvars import ContextVar

import pytest
import structlog

from airflow_provider_agentruns.polling import poller
from tests.hooks.connections import open_sockets
from tests.polling.scripted import Service, outcomes, waiting
from tests.polling.simulation import log_with
from tests.support.scripted_server import Serve, answer, errors
from tests.triggers.waiting import until


@pytest.mark.parametrize(
    ("status", "entry"),
    [
        ("completed", {}),
        ("interrupted", {"interrupts": None}),
        ("error", {"output": 7, "agent": None}),
    ],
)
async def test_a_listed_status_ends_the_wait_whatever_else_the_entry_holds(
    serve: Serve, status: str, entry: dict[str, object]
) -> None:
    service = Service(6)
    listed = [{"id": run_id, "status": status, **entry} for run_id in service.ids]
    service.listing = lambda _: answer({"has_more": False, "data": listed})
    server = serve(service)
    assert outcomes(await asyncio.gather(*waiting(*service.ids))) == {status}
    assert not {request.path for request in server.requests} & {f"/v1/runs/r-{n}" for n in range(3, 6)}


class TestEndTime:
    async def test_a_service_that_hangs(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(poller, "_LAST_READ", 0.3)
        before = asyncio.all_tasks()
        hangs = answer({}, delay=60)
        service = Service(12, listing=lambda _: hangs, single=lambda _: hangs)
        server = serve(service)
        events = await asyncio.gather(*waiting(*service.ids, end_time=time.time() + 0.5, within=10.0))
        assert open_sockets(server.port) == 0
        assert outcomes(events) == {"AgentRunTimeoutError"}
        assert {event["message"].partition(" is ")[2] for event in events} == {
            "of unknown status at the end of the wait"
        }
        assert asyncio.all_tasks() == before

    async def test_a_listing_that_hangs(self, serve: Serve) -> None:
        service = Service(12, listing=lambda _: answer({}, delay=60))
        service.end()
        serve(service)
        events = await asyncio.gather(*waiting(*service.ids, end_time=time.time() + 1.0))
        # There is time to read each run individually.
        assert outcomes(events) == {"completed"}


#: The task that a message belongs to, as Airflow determines it.
task_of: ContextVar[str] = ContextVar("task_of", default="nobody")


def owner() -> str:
    """Return the task that a message belongs to, by both kinds of context in use."""
    task = task_of.get()
    assert structlog.contextvars.get_contextvars().get("run_id", "nobody") == task
    return task


class PollerLog(logging.Handler):
    """Records the poller's own messages, each with its owner."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append((owner(), record.getMessage()))


@pytest.fixture
def poller_log() -> Iterator[PollerLog]:
    handler, logger = PollerLog(), logging.getLogger("airflow_provider_agentruns.polling")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


class LoggingWaits:
    """Waits in tasks with a context of their own, and their messages."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.changes: dict[str, list[dict[str, object]]] = {}

    def begin(self, *run_ids: str) -> list[asyncio.Task[dict[str, str]]]:
        return [asyncio.create_task(self._wait(run_id)) for run_id in run_ids]

    async def _wait(self, run_id: str) -> dict[str, str]:
        task_of.set(run_id)
        structlog.contextvars.bind_contextvars(run_id=run_id)
        return await poller.wait_for_run(run_id, "agentruns_default", ["completed", "interrupted"], 0.2)

    def log(self, level: int, message: str, *args: object, **fields: object) -> None:
        self.messages.append((owner(), message % args))
        if fields:
            self.changes.setdefault(owner(), []).append(fields)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> LoggingWaits:
    waits = LoggingWaits()
    monkeypatch.setattr(poller, "structlog", log_with(waits.log))
    return waits


async def test_each_status_change_is_logged_in_its_own_task(
    serve: Serve, poller_log: PollerLog, waits: LoggingWaits
) -> None:
    service = Service(10)
    server = serve(service)
    tasks = waits.begin(*service.ids)
    await until(lambda: len(server.requests) >= 2)
    service.end(status="pondering")
    await until(lambda: len(waits.messages) >= 10)
    service.end()
    await asyncio.gather(*tasks)
    # The resumed task logs the last status.
    assert sorted(waits.messages) == [(run_id, f"Agent run {run_id} is pondering") for run_id in service.ids]
    assert waits.changes == {
        run_id: [{"agent_run_id": run_id, "agent_run_status": "pondering", "agent_run_was": "running"}]
        for run_id in service.ids
    }
    assert poller_log.messages == []


async def test_a_failure_is_logged_once_in_each_task(serve: Serve, poller_log: PollerLog, waits: LoggingWaits) -> None:
    service = Service(10)
    server = serve(service)
    tasks = waits.begin(*service.ids)
    await until(lambda: len(server.requests) >= 2)
    service.listing = lambda _: errors(503, "down")
    await until(lambda: len(waits.messages) >= 10)
    service.end()
    await asyncio.gather(*tasks)
    assert sorted(task for task, _ in waits.messages) == service.ids
    for task, message in waits.messages:
        assert message.startswith(f"Cannot read agent run {task}, retrying: GET /v1/runs returned 503")
    assert {task for task, _ in poller_log.messages} == {"nobody"}


async def test_messages_about_an_unsafe_run_id_are_printable_and_on_one_line(serve: Serve, waits: LoggingWaits) -> None:
    # A run ID can come from XCom, so it can hold anything.
    unsafe = "r-9\n\x1b[31mAll is well"
    service = Service(5)
    service.listing = lambda _: errors(503, "down")
    serve(service)
    tasks = waits.begin(*service.ids, unsafe)
    await until(lambda: len(waits.messages) >= 6)
    service.end()
    results = await asyncio.gather(*tasks)
    assert results[-1]["error"] == "AgentRunsValueError"
    texts = [*(text for _, text in waits.messages), *(result.get("message", "") for result in results)]
    assert any("All is well" in text for text in texts)
    assert all(text.isprintable() for text in texts)
