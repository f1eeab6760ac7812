# SPDX-License-Identifier: Apache-2.0
"""What is said of one wait is in the log of the task that waits; what is said of all is in nobody's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from itertools import pairwise

import pytest
import structlog

from airflow_provider_agentruns.polling.registry import wait_for_run
from airflow_provider_agentruns.polling.scheduler import PollScheduler
from tests.hooks.connections import connection_json
from tests.polling.scripted import Service
from tests.support.scripted_server import ScriptedServer, errors
from tests.triggers.waiting import ENV, until

#: Which task something belongs to, as Airflow tells whose log a message goes to.
task_of: ContextVar[str] = ContextVar("task_of", default="nobody")


class Records(logging.Handler):
    """Notes each message with whose it would be."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note a message."""
        self.all.append((whose(), record.getMessage()))


def whose() -> str:
    """Return whose message this is, by both kinds of context that are in use; they never differ."""
    owner = task_of.get()
    assert structlog.contextvars.get_contextvars().get("run_id", "nobody") == owner
    return owner


@pytest.fixture
def of_the_watch() -> Iterator[Records]:
    """Note what is said of the watch itself."""
    records, logger = Records(), logging.getLogger("airflow_provider_agentruns.polling")
    logger.addHandler(records)
    yield records
    logger.removeHandler(records)


class Waits:
    """Waits in tasks with a context of their own, and what was told to each."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.changes: dict[str, list[dict[str, object]]] = {}

    def begin(self, run_ids: list[str], interval: float = 0.2) -> list[asyncio.Task[dict[str, str]]]:
        """Wait for runs."""
        return [asyncio.create_task(self._wait(run_id, interval)) for run_id in run_ids]

    async def _wait(self, run_id: str, interval: float) -> dict[str, str]:
        task_of.set(run_id)
        structlog.contextvars.bind_contextvars(run_id=run_id)
        return await wait_for_run(
            run_id,
            "agentruns_default",
            ["completed", "interrupted"],
            interval=interval,
            seen="running",
            log=self._tell,
        )

    def _tell(self, level: int, message: str, *args: object, **fields: object) -> None:
        self.told.append((whose(), message % args))
        if fields:
            self.changes.setdefault(whose(), []).append(fields)


def changes(run_id: str, *statuses: str) -> list[dict[str, object]]:
    """Return the fields of what is logged of a run that goes through these statuses, of which the first is known."""
    return [
        {"agent_run_id": run_id, "agent_run_status": status, "agent_run_was": was} for was, status in pairwise(statuses)
    ]


async def test_a_change_is_told_to_each_in_its_own_log(monkeypatch: pytest.MonkeyPatch, of_the_watch: Records) -> None:
    service, waits = Service(10), Waits()
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waits.begin(service.ids)
        await until(lambda: len(server.requests) >= 2)
        service.end(status="pondering")
        await until(lambda: len(waits.told) >= 10)
        service.end()
        await asyncio.gather(*tasks)
    statuses = ("pondering", "completed")
    assert sorted(waits.told) == sorted(
        (run_id, f"Agent run {run_id} is {status}") for run_id in service.ids for status in statuses
    )
    assert waits.changes == {run_id: changes(run_id, "running", *statuses) for run_id in service.ids}
    assert of_the_watch.all == []


async def test_why_nothing_comes_is_told_to_each_once(monkeypatch: pytest.MonkeyPatch, of_the_watch: Records) -> None:
    service, waits = Service(10), Waits()
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waits.begin(service.ids)
        await until(lambda: len(server.requests) >= 2)
        service.listing = lambda _: errors(503, "down")
        await until(lambda: len(waits.told) >= 10)
        service.end()
        await asyncio.gather(*tasks)
    troubles = [told for told in waits.told if not told[1].endswith("is completed")]
    assert {owner for owner, _ in troubles} == set(service.ids)
    for owner, message in troubles:
        assert message.startswith(f"Cannot read agent run {owner}, retrying: GET /v1/runs returned 503")
    assert len(troubles) == 10
    assert {owner for owner, _ in of_the_watch.all} == {"nobody"}


async def test_who_joins_later_has_a_log_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    service, waits = Service(2), Waits()
    service.single = lambda _: errors(503, "down")
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        first = waits.begin(["r-0"])
        await until(lambda: bool(waits.told))
        second = waits.begin(["r-1"])
        await until(lambda: "r-1" in {owner for owner, _ in waits.told})
        service.single = lambda _: None
        service.end()
        await asyncio.gather(*first, *second)
    assert all(f"gent run {owner}" in message for owner, message in waits.told)


async def test_a_fault_of_the_watch_is_in_nobody_s_log(monkeypatch: pytest.MonkeyPatch, of_the_watch: Records) -> None:
    def break_down(scheduler: PollScheduler, now: float) -> float:
        raise ZeroDivisionError

    service, waits = Service(5), Waits()
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        monkeypatch.setattr(PollScheduler, "next", break_down)
        verdicts = await asyncio.gather(*waits.begin(service.ids))
    assert {verdict["error"] for verdict in verdicts} == {"ZeroDivisionError"}
    assert of_the_watch.all == [("nobody", "The poller for agent runs of connection 'agentruns_default' failed")]
