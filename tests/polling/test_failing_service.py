# SPDX-License-Identifier: Apache-2.0
"""A service that fails for a moment is polled again soon, one that stays down less and less often."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from airflow_provider_agentruns.client import transport
from airflow_provider_agentruns.exceptions import (
    AgentRunsAuthError,
    AgentRunsConnectionError,
    AgentRunsError,
    AgentRunsRateLimitError,
    AgentRunsServerError,
)
from airflow_provider_agentruns.polling import poller
from tests.hooks.connections import connection_json, open_sockets
from tests.polling.fake_service import FakeService, Order, just_started, seeded
from tests.polling.scripted import Service, outcomes, waiting, waiting_with_token
from tests.polling.simulation import Simulation, Wait, log_with
from tests.polling.virtual_time import BEGINNING
from tests.support.scripted_server import Received, Reply, Serve, answer, errors, truncated
from tests.triggers.waiting import ENV, until

BROKEN = AgentRunsConnectionError("lost")
GATEWAY = AgentRunsServerError(502, ["bad gateway"], "GET", "/v1/runs")
REJECTED = AgentRunsAuthError(401, ["unknown token"], "GET", "/v1/runs")
TOO_MANY = AgentRunsRateLimitError(429, ["too many"], "GET", "/v1/runs")


def between(begin: float, end: float, error: AgentRunsError) -> Exception | None:
    """Return the error from ``begin`` to ``end``, in seconds since the clock started."""
    return error if begin <= asyncio.get_running_loop().time() - BEGINNING < end else None


@pytest.mark.parametrize("error", [BROKEN, GATEWAY, REJECTED, TOO_MANY], ids=["lost", "502", "401", "429"])
def test_pages_that_fail_for_a_moment_cost_little_more_than_that(error: AgentRunsError) -> None:
    service = FakeService(page_fault=lambda: between(40.0, 40.5, error))
    runs = just_started(1000, seeded(1), shortest=36.0, longest=120.0)
    service.add(runs)
    simulation = Simulation(service, latency=lambda: 0.3)
    waits = simulation.run([Wait(run) for run in runs])
    assert {wait.result.get("status") for wait in waits} == {"completed"}
    # Half a second, and a pause of one interval before the third attempt.
    assert max(wait.late - wait.interval for wait in waits) < 12.0


@pytest.mark.parametrize("error", [BROKEN, GATEWAY, TOO_MANY], ids=["lost", "502", "429"])
def test_one_page_that_fails_leads_to_no_individual_reads(error: AgentRunsError) -> None:
    faults = iter([None] * 15 + [error])
    service = FakeService(page_fault=lambda: next(faults, None))
    runs = just_started(1000, seeded(2))
    service.add(runs)
    simulation = Simulation(service)
    waits = simulation.run([Wait(run) for run in runs])
    assert max(wait.late - wait.interval for wait in waits) < 3.0
    assert simulation.single <= 10


def test_a_listing_that_stays_down_leaves_individual_reads_until_it_is_back() -> None:
    service = FakeService(page_fault=lambda: between(0.0, 100.0, GATEWAY))
    runs = just_started(100, seeded(4), shortest=20.0, longest=901.0)
    service.add(runs)
    simulation = Simulation(service)
    waits = simulation.run([Wait(run) for run in runs])
    assert max(wait.late for wait in waits) < 20.0
    assert sum(request.page is not None for request in simulation.requests if request.at < BEGINNING + 100.0) < 10
    late = [request for request in simulation.requests if BEGINNING + 600.0 < request.at < BEGINNING + 800.0]
    assert sum(request.page is None for request in late) < len(late) / 4


def test_a_service_that_stays_down_is_polled_less_and_less_often(caplog: pytest.LogCaptureFixture) -> None:
    def down() -> Exception | None:
        return between(20.0, 620.0, BROKEN)

    service = FakeService(page_fault=down, read_fault=down)
    runs = just_started(500, seeded(5), shortest=15.0, longest=700.0)
    service.add(runs)
    simulation = Simulation(service)
    waits = simulation.run([Wait(run) for run in runs])
    moments = [request.at - BEGINNING for request in simulation.requests]
    assert sum(20.0 <= moment < 620.0 for moment in moments) < 60
    assert max(wait.ended_at - BEGINNING for wait in waits) < 720.0
    assert {wait.result.get("status") for wait in waits} == {"completed"}
    # No burst when it is back.
    assert sum(620.0 <= moment < 640.0 for moment in moments) < 0.5 * 20 * 20
    # Pages are read at once, not smaller than before, and the log does not blame the interval.
    assert sum(moment >= 640.0 for moment in moments) < 7 * 20
    assert simulation.single < 30
    assert "exceeds the connection's rate_limit" not in caplog.text


@pytest.mark.parametrize("order", [Order.NEWEST_FIRST, Order.OLDEST_FIRST], ids=lambda order: order.value)
@pytest.mark.parametrize("limits", [{"deepest": 30}, {"ends": True, "counts": False}], ids=["too deep", "no such page"])
def test_pages_that_the_service_does_not_serve_are_the_end(order: Order, limits: dict[str, object]) -> None:
    service = FakeService(order=order, **limits)  # type: ignore[arg-type]
    runs = just_started(300, seeded(8), shortest=300.0, longest=301.0)
    hidden = just_started(60, seeded(108), shortest=300.0, longest=301.0, listed=False)
    service.add(runs + hidden)
    service.add_finished(2150)
    simulation = Simulation(service)
    waits = simulation.run([Wait(run, interval=30.0) for run in runs + hidden])
    assert max(wait.late - wait.interval for wait in waits) < 5.0
    # Four pages per interval, and the search for the hidden runs.
    assert simulation.pages < 1.5 * 4 * 300 / 30 + 60


# Over HTTP


async def test_a_rotated_token_is_picked_up_while_many_wait(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    service, server, tasks = await waiting_with_token(serve, 30)
    for number in (1, 2):
        monkeypatch.setenv(ENV, connection_json(server.url, token=f"token-{number}"))
        service.token = f"token-{number}"
        begun = len(server.requests)
        await until(lambda begun=begun, token=service.token: any(  # type: ignore[misc]
            request.headers["authorization"].endswith(token) for request in server.requests[begun:]
        ))  # fmt: skip
    service.end()
    assert outcomes(await asyncio.gather(*tasks)) == {"completed"}
    assert open_sockets(server.port) == 0


@pytest.mark.parametrize("begins_well", [True, False])
async def test_a_wrong_token_ends_all_waits_after_a_few_requests(serve: Serve, begins_well: bool) -> None:
    service = Service(60)
    service.token = "token-0" if begins_well else "token-1"
    server = serve(service, token="token-0")
    tasks = waiting(*service.ids)
    if begins_well:
        await until(lambda: len(server.requests) >= 2)
        service.token = "token-1"
    begun = len(server.requests)
    events = await asyncio.gather(*tasks)
    assert open_sockets(server.port) == 0
    assert outcomes(events) == {"AgentRunsAuthError"}
    assert all("unknown token" in event["message"] and "token-0" not in event["message"] for event in events)
    assert len(server.requests) - begun <= 30


@pytest.mark.parametrize(
    "reply",
    [
        errors(403, "not allowed"),
        errors(401, "not allowed to list"),
        answer({"data": "none"}),
        answer({"has_more": True, "data": [{"id": 7, "status": None}] * 20}),
        truncated(b'{"data": ['),
    ],
    ids=["403", "401", "no array", "unreadable", "cut off"],
)
async def test_an_unusable_listing_leads_to_individual_reads(serve: Serve, reply: Reply) -> None:
    service = Service(12)
    server = serve(service, rate_limit=100)
    tasks = waiting(*service.ids)
    await until(lambda: len(server.requests) >= 2)
    service.listing = lambda _: reply
    await until(lambda: len({request.path for request in server.requests}) == 13)
    service.end()
    assert outcomes(await asyncio.gather(*tasks)) == {"completed"}
    assert len(server.seen("GET", "/v1/runs")) <= 12


async def test_one_run_that_cannot_be_read_delays_no_other(serve: Serve) -> None:
    def broken(request: Received) -> Reply | None:
        return errors(500, "broken") if request.path.endswith("/r-3") else None

    service = Service(10, single=broken)
    service.hidden = {"r-3"}
    server = serve(service)
    tasks = waiting(*service.ids)
    await until(lambda: bool(server.seen("GET", "/v1/runs/r-3")))
    service.end()
    assert outcomes(await asyncio.gather(*(task for task in tasks if task is not tasks[3]))) == {"completed"}
    assert not tasks[3].done()
    service.single = lambda _: None
    assert outcomes([await tasks[3]]) == {"completed"}


async def test_a_response_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # There is always another header, and never the last one.
        with contextlib.suppress(ConnectionError):
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while not reader.at_eof():
                writer.write(b"X-Drip: drop\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()

    messages: list[str] = []
    monkeypatch.setattr(transport, "_GRACE", 0.0)
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv(ENV, connection_json(f"http://127.0.0.1:{port}", timeout=0.5))

    def log(level: int, message: str, *args: object, **fields: object) -> None:
        messages.append(message % args)

    monkeypatch.setattr(poller, "structlog", log_with(log))
    [task] = waiting("r-0")
    await until(lambda: bool(messages))
    assert "no response within 0.5 s" in messages[0]
    task.cancel()
    await asyncio.wait([task])
    assert open_sockets(port) == 0
    server.close()
    await server.wait_closed()
