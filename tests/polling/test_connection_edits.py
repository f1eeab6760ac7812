# SPDX-License-Identifier: Apache-2.0
"""A connection that cannot work, or not for a moment, ends no wait that could still succeed."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.transport import AsyncTransport
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.polling import poller, reloading_client
from tests.hooks.connections import connection_json, open_sockets
from tests.polling.scripted import Service, outcomes, waiting, waiting_with_token
from tests.support.scripted_server import Received, Reply, Serve, answer, errors
from tests.triggers.waiting import ENV, until

#: Errors of Airflow, of secrets backends, and of libraries.
UNEXPECTED: list[Exception] = [
    AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500})),
    ImportError("no module named 'backend'"),
    httpx.InvalidURL("no port"),
]

Edit = Callable[[pytest.MonkeyPatch, str], None]


def break_with(error: Exception, place: type, method: str) -> Edit:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return lambda patch, url: patch.setattr(place, method, fail)


EDITS: dict[str, Edit] = {
    "proxy scheme": lambda patch, url: patch.setenv(ENV, connection_json(url, proxy="gopher://proxy:1")),
    "missing CA file": lambda patch, url: patch.setenv(ENV, connection_json(url, verify="/nonexistent.pem")),
    "no token": lambda patch, url: patch.setenv(ENV, connection_json(url, token=None)),
    "malformed JSON": lambda patch, url: patch.setenv(ENV, "{"),
    "deleted": lambda patch, url: patch.delenv(ENV),
    **{type(error).__name__: break_with(error, AgentRunHook, "aget_connection") for error in UNEXPECTED},
}


@pytest.mark.parametrize("edit", EDITS)
async def test_an_edit_that_cannot_work_leaves_waits_on_the_previous_settings(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, edit: str
) -> None:
    service, server, tasks = await waiting_with_token(serve, 6)
    with monkeypatch.context() as patch:
        EDITS[edit](patch, server.url)
        patch.setattr(reloading_client, "_RELOAD_AFTER", 0.05)
        await until(lambda: "keeping its earlier settings" in caplog.text)
        seen = len(server.requests)
        await until(lambda: len(server.requests) >= seen + 4)
        assert not any(task.done() for task in tasks)
    # The connection is repaired, with another token.
    service.token = "token-1"
    monkeypatch.setenv(ENV, connection_json(server.url, token="token-1"))
    service.end()
    assert outcomes(await asyncio.gather(*tasks)) == {"completed"}
    assert open_sockets(server.port) == 0
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert sum("keeping its earlier settings" in message for message in warnings) == 1


async def test_a_rejected_token_and_an_edit_that_cannot_work(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    service, server, tasks = await waiting_with_token(serve, 6)
    monkeypatch.setenv(ENV, connection_json(server.url, token="token-1", proxy="gopher://proxy:1"))
    service.token = "token-1"
    await until(lambda: len({request.path for request in server.requests}) >= 4)
    monkeypatch.setenv(ENV, connection_json(server.url, token="token-1"))
    service.end()
    assert outcomes(await asyncio.gather(*tasks)) == {"completed"}


async def test_a_request_that_is_rejected_after_a_reload_is_sent_with_the_new_token(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    reject = threading.Event()

    def reject_late(request: Received) -> Reply:
        if request.headers["authorization"] == "Bearer token-1":
            return answer({"id": "r-1", "status": "running"})
        reject.wait(20)
        return errors(401, "unknown token")

    server = serve(reject_late, token="token-0")
    client = reloading_client.ReloadingClient("agentruns_default")
    request = asyncio.create_task(client.send(requests.get_run_state("r-1")))
    await until(lambda: bool(server.requests))
    monkeypatch.setenv(ENV, connection_json(server.url, token="token-1"))
    await client.transport(newer_than=math.inf)
    # Another rejection would mean that the new token is wrong.
    client._rejections = 1
    reject.set()
    assert (await request)["status"] == "running"
    await client.close()


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("place", "method"),
    [(AgentRunHook, "aget_connection"), (AsyncTransport, "__init__"), (AsyncTransport, "send_once")],
    ids=["loading", "building", "sending"],
)
async def test_an_unexpected_error_is_retried(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, error: Exception, place: type, method: str
) -> None:
    service = Service(6)
    service.end()
    server = serve(service)
    with monkeypatch.context() as patch:
        break_with(error, place, method)(patch, server.url)
        tasks = waiting(*service.ids)
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in tasks)
    assert outcomes(await asyncio.gather(*tasks)) == {"completed"}


@pytest.mark.parametrize("host", ["https://no-such-host.invalid", "https://127.0.0.1:1"])
async def test_a_host_that_cannot_be_reached_ends_waits_only_at_their_end(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv(ENV, connection_json(host))
    begun = time.time()
    events = await asyncio.gather(*waiting("r-1", "r-2", end_time=begun + 1.0))
    assert time.time() > begun + 1.0
    assert outcomes(events) == {"AgentRunTimeoutError"}
    assert "could not be reached" in events[0]["message"]


async def test_a_connection_that_stays_broken_ends_waits_after_some_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "_CONNECTION_ATTEMPTS", 2)
    monkeypatch.setattr(poller, "LONGEST_PAUSE", 0.2)
    monkeypatch.setenv(ENV, connection_json("https://127.0.0.1:1"))
    break_with(ImportError("no module named 'backend'"), AgentRunHook, "aget_connection")(monkeypatch, "")
    events = await asyncio.gather(*waiting("r-1", "r-2"))
    assert outcomes(events) == {"AgentRunsConnectionError"}
    assert "ImportError: no module named 'backend'" in events[0]["message"]
