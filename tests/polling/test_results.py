# SPDX-License-Identifier: Apache-2.0
"""The result of a wait is current, comes in time, and is logged where the waiting task logs."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pytest
import structlog

from airflow_provider_agentruns.polling import registry
from airflow_provider_agentruns.polling.scheduler import PollScheduler, Step
from tests.hooks.connections import connection_json, open_sockets
from tests.polling.scripted import Service, outcomes, waiting
from tests.support.scripted_server import Received, Reply, ScriptedServer, answer, errors
from tests.triggers.waiting import ENV, until


class HeldPage:
    """Makes the next page at once, and sends it when the test says so."""

    def __init__(self, service: Service) -> None:
        self.made = threading.Event()
        self._send = threading.Event()
        self._service = service

    @contextmanager
    def hold(self) -> Iterator[None]:
        self._service.listing = self._page
        try:
            yield
        finally:
            self._service.listing = lambda _: None
            self._send.set()

    def _page(self, request: Received) -> Reply:
        page = self._service.page()
        self.made.set()
        self._send.wait(20)
        return page


@pytest.mark.parametrize("tracked", [True, False], ids=["tracked already", "new"])
async def test_an_interrupt_from_before_the_wait_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch, tracked: bool
) -> None:
    service = Service(10)
    page = HeldPage(service)
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        others = waiting(*service.ids[1:])
        if tracked:
            others += waiting("r-0", wait_for=["completed"])
        service.end("r-0", status="interrupted")
        with page.hold():
            await until(page.made.is_set)
            # The worker that now waits for the next status has just answered the interrupt.
            service.end("r-0", status="running")
            [task] = waiting("r-0")
            await asyncio.sleep(0)
        seen = len(server.requests)
        await until(lambda: len(server.requests) >= seen + 2)
        assert not task.done()
        service.end()
        assert await task == {"run_id": "r-0", "status": "completed"}
        assert outcomes(await asyncio.gather(*others)) == {"completed"}


@pytest.mark.parametrize(
    ("status", "entry"),
    [
        ("completed", {"output": None}),
        ("completed", {}),
        ("interrupted", {"interrupts": []}),
        ("interrupted", {"interrupts": None}),
        ("error", {"output": 7, "agent": None}),
    ],
)
async def test_a_listed_status_ends_the_wait_whatever_else_the_entry_holds(
    monkeypatch: pytest.MonkeyPatch, status: str, entry: dict[str, object]
) -> None:
    service = Service(6)
    listed = [{"id": run_id, "status": status, **entry} for run_id in service.ids]
    service.listing = lambda _: answer({"has_more": False, "data": listed})
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        assert outcomes(await asyncio.gather(*waiting(*service.ids))) == {status}
        assert not {request.path for request in server.requests} & {f"/v1/runs/r-{n}" for n in range(3, 6)}


class TestEndTime:
    async def test_a_service_that_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry, "_LAST_READ", 0.3)
        before = asyncio.all_tasks()
        hangs = answer({}, delay=60)
        service = Service(12, listing=lambda _: hangs, single=lambda _: hangs)
        with ScriptedServer(service) as server:
            monkeypatch.setenv(ENV, connection_json(server.url))
            events = await asyncio.gather(*waiting(*service.ids, end_time=time.time() + 0.5, within=10.0))
            assert open_sockets(server.port) == 0
        assert outcomes(events) == {"AgentRunTimeoutError"}
        assert {event["message"].partition(" is ")[2] for event in events} == {
            "of unknown status at the end of the wait"
        }
        assert asyncio.all_tasks() == before

    async def test_a_listing_that_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        service = Service(12, listing=lambda _: answer({}, delay=60))
        service.end()
        with ScriptedServer(service) as server:
            monkeypatch.setenv(ENV, connection_json(server.url))
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
        wait_for = ["completed", "interrupted"]
        return await registry.wait_for_run(run_id, "agentruns_default", wait_for, interval=0.2, log=self._log)

    def _log(self, level: int, message: str, *args: object, **fields: object) -> None:
        self.messages.append((owner(), message % args))
        if fields:
            self.changes.setdefault(owner(), []).append(fields)


async def test_each_status_change_is_logged_in_its_own_task(
    monkeypatch: pytest.MonkeyPatch, poller_log: PollerLog
) -> None:
    service, waits = Service(10), LoggingWaits()
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
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


async def test_a_failure_is_logged_once_in_each_task(monkeypatch: pytest.MonkeyPatch, poller_log: PollerLog) -> None:
    service, waits = Service(10), LoggingWaits()
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
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


async def test_a_bug_in_the_poller_ends_its_waits(monkeypatch: pytest.MonkeyPatch, poller_log: PollerLog) -> None:
    def fail(scheduler: PollScheduler, now: float) -> Step | float:
        raise ZeroDivisionError

    service, waits = Service(5), LoggingWaits()
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        monkeypatch.setattr(PollScheduler, "next", fail)
        results = await asyncio.gather(*waits.begin(*service.ids))
    assert {result["error"] for result in results} == {"ZeroDivisionError"}
    message = "The poller for agent runs of connection 'agentruns_default' failed"
    assert poller_log.messages == [("nobody", message)]


async def test_messages_about_an_unsafe_run_id_are_printable_and_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    # A run ID can come from XCom, so it can hold anything.
    unsafe = "r-9\n\x1b[31mAll is well"
    service, waits = Service(5), LoggingWaits()
    service.listing = lambda _: errors(503, "down")
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waits.begin(*service.ids, unsafe)
        await until(lambda: len(waits.messages) >= 6)
        service.end()
        results = await asyncio.gather(*tasks)
    assert results[-1]["error"] == "AgentRunsValueError"
    texts = [*(text for _, text in waits.messages), *(result.get("message", "") for result in results)]
    assert any("All is well" in text for text in texts)
    assert all(text.isprintable() for text in texts)
