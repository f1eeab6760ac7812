# SPDX-License-Identifier: Apache-2.0
"""What goes over the wire, and what becomes of a request when the wire breaks."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_agentruns import __version__
from airflow_provider_agentruns.client import requests, transport
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.transport import AsyncTransport, Transport
from airflow_provider_agentruns.exceptions import AgentRunsConnectionError
from tests.client.calling import GET, POST, RUN, TOKEN, Caller, settings
from tests.support.scripted_server import (
    LOST,
    RESET_BEFORE,
    Reply,
    ScriptedServer,
    answer,
    dripping,
    endless,
    sent,
    truncated,
    unused_port,
)

RESUME = requests.resume_run("r-1", "i-1", "yes")
BOTH = pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])

#: Whatever leaves a request without a usable answer although it was, or may have been, sent.
LOSSES = {
    "reset before it is read": RESET_BEFORE,
    "reset before the answer": LOST,
    "cut": truncated(b'{"id": "r-1"'),
    "cut head": Reply(headers={"Content-Length": "30"}, close=True),
    "garbled": sent(b"no gzip", "application/json", Content_Encoding="gzip"),
}


def error_of(caller: Caller, url: str, request: Request[Any], **fields: Any) -> AgentRunsConnectionError:
    """Return the error that a request ends with."""
    with pytest.raises(AgentRunsConnectionError) as caught:
        caller.send(settings(url, **fields), request)
    return caught.value


def test_each_request_says_who_asks_and_what_for(caller: Caller) -> None:
    with ScriptedServer([answer(RUN), answer(RUN, 201)]) as server:
        caller.send(settings(server.url), GET, POST)
    for seen in server.requests:
        assert seen.headers["authorization"] == f"Bearer {TOKEN}"
        assert seen.headers["accept"] == "application/json"
        assert seen.headers["user-agent"] == f"airflow-provider-agentruns/{__version__}"
        assert seen.headers["host"] == f"127.0.0.1:{server.port}"
    get, post = server.requests
    assert (get.method, get.body) == ("GET", b"")
    assert (post.method, post.json) == ("POST", {"type": "instant", "business_id": "b-1"})
    assert post.headers["content-type"] == "application/json"


def test_one_connection_carries_many_requests(caller: Caller) -> None:
    with ScriptedServer(lambda _: answer(RUN)) as server:
        caller.send(settings(server.url), *[GET] * 5)
    assert (len(server.requests), server.connections) == (5, 1)


@pytest.mark.usefixtures("no_backoff")
@BOTH
def test_where_nobody_listens_nothing_was_sent_and_it_is_tried_again(
    caller: Caller, request_: Request[Any], caplog: pytest.LogCaptureFixture
) -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    error = error_of(caller, url, request_, max_retries=2)
    assert (error.in_doubt, error.resend, error.retryable) == (False, True, True)
    assert f"{request_.method} {request_.path}: {url} could not be reached (ConnectError" in str(error)
    assert sum("retrying" in message for message in caplog.messages) == 2


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("request_", [POST, RESUME], ids=["start", "resume"])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_post_whose_answer_is_lost_is_not_sent_again(caller: Caller, request_: Request[Any], loss: Reply) -> None:
    with ScriptedServer([loss, answer(RUN)]) as server:
        error = error_of(caller, server.url, request_)
        assert server.unused == 1
    assert (error.in_doubt, error.resend) == (True, False)
    assert "gave no usable response" in str(error)


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_get_whose_answer_is_lost_is_sent_again(caller: Caller, loss: Reply) -> None:
    with ScriptedServer([loss, loss, answer(RUN)]) as server:
        [run] = caller.send(settings(server.url), GET)
        assert server.unused == 0
    assert run.id == "r-1"


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("retries", [0, 2])
def test_a_get_that_never_gets_an_answer_ends_with_the_last_retry(caller: Caller, retries: int) -> None:
    with ScriptedServer(lambda _: LOST) as server:
        error = error_of(caller, server.url, GET, max_retries=retries)
    assert len(server.requests) == retries + 1
    assert (error.in_doubt, error.resend) == (False, True)


@pytest.mark.usefixtures("no_backoff")
def test_a_slow_answer_ends_at_the_timeout_and_a_get_is_sent_again(caller: Caller) -> None:
    with ScriptedServer([answer(RUN, delay=30), answer(RUN)]) as server:
        [run] = caller.send(settings(server.url, timeout=0.2), GET)
    assert run.id == "r-1"
    assert len(server.requests) == 2


@pytest.mark.usefixtures("no_backoff")
def test_a_slow_answer_to_a_post_leaves_it_in_doubt(caller: Caller) -> None:
    begin = time.monotonic()
    with ScriptedServer([answer(RUN, delay=30), answer(RUN)]) as server:
        error = error_of(caller, server.url, POST, timeout=0.2)
        assert server.unused == 1
    assert (error.in_doubt, error.resend) == (True, False)
    assert "ReadTimeout" in str(error)
    assert time.monotonic() - begin < 3


@BOTH
def test_an_answer_that_drips_is_given_up_at_the_timeout(caller: Caller, request_: Request[Any]) -> None:
    # Each byte comes in time; it is the whole that takes too long.
    body = b'{"id": "r-1", "status": "running"}' + b" " * 1000
    begin = time.monotonic()
    with ScriptedServer([dripping(body, pause=0.02)]) as server:
        error = error_of(caller, server.url, request_, timeout=0.3, max_retries=0)
    assert "the response took longer than 0.3 s" in str(error)
    assert error.in_doubt is (request_ is POST)
    assert 0.3 <= time.monotonic() - begin < 3


def test_an_answer_that_drips_but_makes_it_is_read(caller: Caller) -> None:
    with ScriptedServer([dripping(b'{"id": "r-1", "status": "running"}', pause=0.001)]) as server:
        [run] = caller.send(settings(server.url), GET)
    assert run.id == "r-1"


@BOTH
@pytest.mark.parametrize("reply", [endless(), sent(b" " * 70_000, "application/json")], ids=["endless", "large"])
def test_an_answer_that_is_too_large_is_given_up(
    caller: Caller, request_: Request[Any], reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_RESPONSE_BYTES", 65_536)
    with ScriptedServer([reply]) as server:
        error = error_of(caller, server.url, request_, max_retries=0)
    assert "the response is larger than 65536 bytes" in str(error)
    assert error.in_doubt is (request_ is POST)


def test_an_answer_just_as_large_as_may_be_is_read(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"id": "r-1", "status": "running"}'
    monkeypatch.setattr(transport, "MAX_RESPONSE_BYTES", len(body))
    with ScriptedServer([sent(body, "application/json")]) as server:
        [run] = caller.send(settings(server.url), GET)
    assert run.id == "r-1"


def test_a_proxy_of_the_connection_is_gone_through(caller: Caller) -> None:
    with ScriptedServer([answer(RUN)]) as proxy:
        where = settings("http://service.invalid", allow_http=True, proxy=proxy.url)
        [run] = caller.send(where, GET)
    assert run.id == "r-1"
    assert proxy.requests[0].target == "http://service.invalid/v1/runs/r-1"


def test_a_closed_transport_has_let_go_of_its_connections() -> None:
    with ScriptedServer(lambda _: answer(RUN)) as server:
        sender = Transport(settings(server.url))
        sender.send(GET)
        sender.close()
        with pytest.raises(RuntimeError, match="closed"):
            sender.send(GET)
    assert len(server.requests) == 1


async def test_a_closed_async_transport_has_let_go_of_its_connections() -> None:
    with ScriptedServer(lambda _: answer(RUN)) as server:
        sender = AsyncTransport(settings(server.url))
        await sender.send(GET)
        await sender.close()
        with pytest.raises(RuntimeError, match="closed"):
            await sender.send(GET)
    assert len(server.requests) == 1
