# SPDX-License-Identifier: Apache-2.0
"""
A hostile service: its responses cost a bounded amount of time and memory, and its redirects are not followed.

``tests/client`` also tests single responses that are too large, too slow, compressed, or redirects.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_agentruns.client import transport
from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunsError
from airflow_provider_agentruns.idempotency import listing_search
from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.events.watchers import FakeStore, Watcher, running
from tests.hooks.conftest import HookUser
from tests.support import BUSINESS
from tests.support.dag_runs import DagRunner
from tests.support.scripted_server import Received, Reply, ScriptedServer, Serve, answer, endless, redirect, sent
from tests.triggers.waiting import event_of

#: The most additional memory in bytes, and the most time in seconds. Generous: the tests only detect unbounded growth.
MEMORY, TIME = 250e6, 60.0


@contextmanager
def bounded() -> Iterator[None]:
    """Fail if the block takes too much memory or time."""
    Path("/proc/self/clear_refs").write_text("5")  # Resets the peak.
    before, begun = _peak(), time.monotonic()
    yield
    assert _peak() - before < MEMORY
    assert time.monotonic() - begun < TIME


def _peak() -> int:
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) * 1024


class EndlessListing:
    """A service whose listing of runs always has another page. Its runs never end."""

    def __init__(self, size: int = 100) -> None:
        self.pages = 0
        self._size = size
        self._numbers = itertools.count()

    def __call__(self, request: Received) -> Reply:
        if request.method == "POST":
            return Reply(reset="after")
        if request.path == "/v1/runs":
            self.pages += 1
            runs = [self._run(next(self._numbers)) for _ in range(self._size)]
            return answer({"object": "list", "has_more": True, "data": runs})
        return answer({"object": "run", "id": request.path.rpartition("/")[2], "status": "running"})

    def _run(self, number: int) -> dict[str, Any]:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return {"object": "run", "id": f"r-{number}", "status": "running", "agent": "other", "created_at": at}


def bodies() -> dict[str, bytes]:
    run = b'{"object": "run", "id": "r-1", "status": "completed", '
    return {
        "deep lists": run + b'"output": ' + b"[" * 5_000_000,
        "a number of a million digits": run + b'"x": ' + b"9" * 1_000_000 + b"}",
        "a million interrupts that are none": run + b'"interrupts": [' + b"0," * 1_000_000 + b"0]}",
    }


@pytest.mark.parametrize("body", bodies().values(), ids=bodies())
def test_an_expensive_body_is_an_error_soon(user: HookUser, serve: Serve, body: bytes) -> None:
    server = serve(lambda _: sent(body, "application/json"))
    with bounded():
        try:
            assert user.call("get_run", "r-1").id == "r-1"
        except AgentRunsAPIError as e:
            assert len(str(e)) < 1_000  # noqa: PT017 -- either will do
    assert len(server.requests) == 1


@pytest.mark.usefixtures("short_pauses")
def test_triggers_follow_no_redirect(serve: Serve) -> None:
    async def wait() -> Any:
        async with running(Watcher(FakeStore())):
            return await event_of(AgentRunTrigger("r-1", poll_interval=0.1, end_time=time.time() + 0.5, watch="stream"))

    with ScriptedServer() as elsewhere:
        server = serve(lambda _: redirect(f"{elsewhere.url}/v1/runs/r-1"))
        assert asyncio.run(wait())["error"] in ("AgentRunTimeoutError", "AgentRunsAPIError")
        assert len(server.requests) >= 2
        assert elsewhere.connections == 0


@pytest.mark.usefixtures("short_pauses")
def test_the_recovery_of_a_start_ends(run_dag: DagRunner, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_search, "_MAX_PAGES", 100)
    listing = EndlessListing()
    server = serve(listing, rate_limit=10_000)
    with bounded():
        result = run_dag(f'AgentRunOperator(task_id="start", agent="a", business_id="{BUSINESS}")')
    # The run was not found. The request is repeated once, and the next try would look for that run.
    assert len(server.seen("POST")) <= 2
    assert result.states == {"start": "failed"}
    # The listing is read again until a new run would be visible.
    assert listing.pages <= 1_000


def test_waits_read_a_bounded_number_of_pages(serve: Serve) -> None:
    listing = EndlessListing(size=10)

    async def wait() -> list[Any]:
        ids = [f"lost-{number}" for number in range(30)]
        end = time.time() + 2
        return await asyncio.gather(*(event_of(AgentRunTrigger(it, poll_interval=0.5, end_time=end)) for it in ids))

    server = serve(listing, rate_limit=500)
    with bounded():
        events = asyncio.run(wait())
    requests = len(server.requests)
    assert {event["error"] for event in events} == {"AgentRunTimeoutError"}
    # At most the rate limit during the wait.
    assert requests <= 500 * 3


@pytest.mark.parametrize(
    ("piece", "status"),
    [
        pytest.param(b"x" * 65_536, 200, id="line"),
        pytest.param(b"data: " + b"x" * 65_000 + b"\n", 200, id="event"),
        pytest.param(b" " * 65_536, 500, id="error"),
    ],
)
def test_a_part_without_end_is_an_error(
    user: HookUser, serve: Serve, monkeypatch: pytest.MonkeyPatch, piece: bytes, status: int
) -> None:
    monkeypatch.setattr(transport, "MAX_RESPONSE_BYTES", 8 * 1024 * 1024)
    serve([endless(piece, "text/event-stream", status)])
    with bounded(), pytest.raises(AgentRunsError, match="larger than"):
        list(user.iterate("stream_run", "r-1"))


@pytest.mark.parametrize("watch", ["poll", "stream"])
def test_a_wait_continues_after_an_endless_response(serve: Serve, monkeypatch: pytest.MonkeyPatch, watch: str) -> None:
    monkeypatch.setattr(transport, "MAX_RESPONSE_BYTES", 8 * 1024 * 1024)
    reads = itertools.count()

    def service(request: Received) -> Reply:
        if request.path.endswith("/stream"):
            return endless(kind="text/event-stream")
        number = next(reads)
        if watch == "poll" and number < 2:
            return endless()
        return answer({"object": "run", "id": "r-1", "status": "completed" if number > 3 else "running"})

    serve(service)
    trigger = AgentRunTrigger("r-1", poll_interval=0.2, watch=watch)  # type: ignore[arg-type]
    with bounded():
        assert asyncio.run(event_of(trigger)) == {"run_id": "r-1", "status": "completed"}
