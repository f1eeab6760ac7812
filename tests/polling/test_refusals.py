# SPDX-License-Identifier: Apache-2.0
"""What a watch over many runs outlasts, and what ends the waits of all."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from airflow_provider_agentruns.polling import reloading_client
from airflow_provider_agentruns.polling.registry import wait_for_run
from tests.hooks.connections import connection_json, open_sockets
from tests.polling.scripted import Service, came_to, waiting
from tests.support.scripted_server import LOST, Received, Reply, ScriptedServer, answer, errors, html, truncated
from tests.triggers.waiting import ENV, until


async def test_a_token_that_is_changed_is_picked_up_while_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(30)
    service.token = "token-0"
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url, token="token-0"))
        tasks = waiting(*service.ids)
        await until(lambda: len(server.requests) >= 2)
        for number in (1, 2):
            monkeypatch.setenv(ENV, connection_json(server.url, token=f"token-{number}"))
            service.token = f"token-{number}"
            begun = len(server.requests)
            await until(lambda begun=begun, token=service.token: any(  # type: ignore[misc]
                request.headers["authorization"].endswith(token) for request in server.requests[begun:]
            ))  # fmt: skip
        service.end()
        assert came_to(await asyncio.gather(*tasks)) == {"completed"}
        assert open_sockets(server.port) == 0
        tokens = [request.headers["authorization"] for request in server.requests]
    # Each change was noticed by a request or a few that were refused.
    assert tokens.count("Bearer token-2") < len(tokens)
    assert len(tokens) < 60


@pytest.mark.parametrize("begins_well", [True, False])
async def test_a_token_that_stays_wrong_is_not_tried_for_each_run(
    monkeypatch: pytest.MonkeyPatch, begins_well: bool
) -> None:
    assert await requests_with_a_wrong_token(monkeypatch, 60, begins_well) <= 30


@pytest.mark.parametrize("begins_well", [True, False])
async def test_a_token_that_stays_wrong_ends_all(monkeypatch: pytest.MonkeyPatch, begins_well: bool) -> None:
    assert await requests_with_a_wrong_token(monkeypatch, 30, begins_well) <= 60


async def requests_with_a_wrong_token(monkeypatch: pytest.MonkeyPatch, count: int, begins_well: bool) -> int:
    """
    Wait with a token that is not, or no longer, good until all have been told so; return how many requests that took.

    :param begins_well: Whether it was good at first.
    """
    service = Service(count)
    service.token = "token-0" if begins_well else "token-1"
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url, token="token-0"))
        tasks = waiting(*service.ids)
        if begins_well:
            await until(lambda: len(server.requests) >= 2)
            service.token = "token-1"
        begun = len(server.requests)
        events = await asyncio.gather(*tasks)
        assert open_sockets(server.port) == 0
    assert came_to(events) == {"AgentRunsAuthError"}
    assert all("unknown token" in event["message"] and "token-0" not in event["message"] for event in events)
    return len(server.requests) - begun


@pytest.mark.parametrize(
    "reply",
    [
        errors(403, "not allowed"),
        errors(401, "not allowed to list"),
        errors(404, "no such page"),
        errors(405, "no such method"),
        errors(500, "down"),
        errors(503, "down"),
        errors(429, "too many", Retry_After="0"),
        html(),
        html(502),
        answer([]),
        answer({"data": "none"}),
        answer({"has_more": True, "data": []}),
        answer({"has_more": True, "data": [{"id": 7, "status": None}] * 20}),
        LOST,
        truncated(b'{"data": ['),
    ],
    ids=[
        *("403", "401", "404", "405", "500", "503", "429", "page of a proxy", "gateway", "no object", "no list"),
        *("empty for ever", "unreadable", "lost", "cut off"),
    ],
)
async def test_a_listing_that_is_no_use_leads_to_single_reads(monkeypatch: pytest.MonkeyPatch, reply: Reply) -> None:
    service = Service(30, listing=lambda _: reply)
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waiting(*service.ids)
        await until(lambda: len({request.path for request in server.requests}) == 31)
        service.end()
        assert came_to(await asyncio.gather(*tasks)) == {"completed"}
        assert len(server.seen("GET", "/v1/runs")) <= 8


async def test_a_listing_that_hangs_leads_to_single_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading_client, "_GRACE", 0.0)
    service = Service(10, listing=lambda _: answer({}, delay=30))
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url, timeout=0.3))
        tasks = waiting(*service.ids)
        await until(lambda: len({request.path for request in server.requests}) == 11)
        service.end()
        assert came_to(await asyncio.gather(*tasks)) == {"completed"}


async def test_a_listing_that_fails_later_leads_to_single_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(30)
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waiting(*service.ids)
        await until(lambda: len(server.requests) >= 2)
        service.listing = lambda _: errors(500, "down")
        await until(lambda: len({request.path for request in server.requests}) == 31)
        service.end()
        assert came_to(await asyncio.gather(*tasks)) == {"completed"}


async def test_runs_that_the_listing_does_not_show_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(30)
    service.hidden = {"r-3", "r-11"}
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waiting(*service.ids)
        await until(lambda: {f"/v1/runs/{run_id}" for run_id in service.hidden} <= {r.path for r in server.requests})
        service.end()
        assert came_to(await asyncio.gather(*tasks)) == {"completed"}
        assert {request.path for request in server.requests} == {"/v1/runs", "/v1/runs/r-3", "/v1/runs/r-11"}


async def test_a_run_that_vanishes_from_the_listing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(10)
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waiting(*service.ids)
        await until(lambda: len(server.requests) >= 2)
        service.hidden = {"r-7"}
        await until(lambda: bool(server.seen("GET", "/v1/runs/r-7")))
        service.end()
        assert came_to(await asyncio.gather(*tasks)) == {"completed"}


async def test_one_run_that_cannot_be_read_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(request: Received) -> Reply | None:
        return errors(500, "broken") if request.path.endswith("/r-3") else None

    service = Service(10, single=broken)
    service.hidden = {"r-3"}
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waiting(*service.ids)
        await until(lambda: bool(server.seen("GET", "/v1/runs/r-3")))
        service.end()
        assert came_to(await asyncio.gather(*(task for task in tasks if task is not tasks[3]))) == {"completed"}
        assert not tasks[3].done()
        service.single = lambda _: None
        assert came_to([await tasks[3]]) == {"completed"}


async def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Something comes all the time, but never the end of the headers.
        with contextlib.suppress(ConnectionError):
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while not reader.at_eof():
                writer.write(b"X-Drip: drop\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()

    told: list[str] = []
    monkeypatch.setattr(reloading_client, "_GRACE", 0.0)
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv(ENV, connection_json(f"http://127.0.0.1:{port}", timeout=0.5))
    task = asyncio.create_task(
        wait_for_run(
            "r-0", "agentruns_default", [], interval=0.2, log=lambda _, text, *args, **fields: told.append(text % args)
        )
    )
    await until(lambda: bool(told))
    assert told[0].endswith("GET /v1/runs/r-0: no answer within 0.5 s")
    task.cancel()
    await asyncio.wait([task])
    assert open_sockets(port) == 0
    server.close()
    await server.wait_closed()
