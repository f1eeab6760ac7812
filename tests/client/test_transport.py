# SPDX-License-Identifier: Apache-2.0
"""What the transports send, and what they do if the connection breaks."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from airflow_provider_agentruns import __version__
from airflow_provider_agentruns.client import requests, transport
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.exceptions import AgentRunsConnectionError
from tests.benchmarks.certificate import make_certificate
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

#: Replies that leave open whether the service has carried out the request.
LOSSES = {
    "reset before it is read": RESET_BEFORE,
    "reset before the answer": LOST,
    "cut": truncated(b'{"id": "r-1"'),
    "cut head": Reply(headers={"Content-Length": "30"}, close=True),
    "garbled": sent(b"no gzip", "application/json", Content_Encoding="gzip"),
}


def error_of(caller: Caller, url: str, request: Request[Any], **fields: Any) -> AgentRunsConnectionError:
    with pytest.raises(AgentRunsConnectionError) as caught:
        caller.send(settings(url, **fields), request)
    return caught.value


def test_headers_and_bodies(caller: Caller) -> None:
    with ScriptedServer([answer(RUN), answer(RUN, 201)]) as server:
        caller.send(settings(server.url), GET, POST)
    for seen in server.requests:
        assert seen.headers["authorization"] == f"Bearer {TOKEN}"
        assert seen.headers["accept"] == "application/json"
        assert seen.headers["user-agent"] == f"airflow-provider-agentruns/{__version__}"
    get, post = server.requests
    assert (get.method, get.body) == ("GET", b"")
    assert (post.method, post.json) == ("POST", {"type": "instant", "business_id": "b-1"})


@pytest.mark.usefixtures("no_backoff")
@BOTH
def test_a_service_that_cannot_be_reached(
    caller: Caller, request_: Request[Any], caplog: pytest.LogCaptureFixture
) -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    error = error_of(caller, url, request_, max_retries=2)
    assert (error.in_doubt, error.retryable) == (False, True)
    assert f"{request_.method} {request_.path}: {url} could not be reached (ConnectError" in str(error)
    assert sum("retrying" in message for message in caplog.messages) == 2


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("request_", [POST, RESUME], ids=["start", "resume"])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_post_without_a_response_is_not_repeated(caller: Caller, request_: Request[Any], loss: Reply) -> None:
    with ScriptedServer([loss, answer(RUN)]) as server:
        error = error_of(caller, server.url, request_)
        assert server.unused == 1
    assert error.in_doubt
    assert "gave no usable response" in str(error)


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_get_without_a_response_is_repeated(caller: Caller, loss: Reply) -> None:
    with ScriptedServer([loss, loss, answer(RUN)]) as server:
        [run] = caller.send(settings(server.url), GET)
        assert server.unused == 0
    assert run.id == "r-1"


@pytest.mark.usefixtures("no_backoff")
def test_a_post_is_in_doubt_after_the_timeout(caller: Caller) -> None:
    begin = time.monotonic()
    with ScriptedServer([answer(RUN, delay=30), answer(RUN)]) as server:
        error = error_of(caller, server.url, POST, timeout=0.2)
        assert server.unused == 1
    assert error.in_doubt
    assert "ReadTimeout" in str(error)
    assert time.monotonic() - begin < 3


@BOTH
def test_the_timeout_applies_to_the_whole_response(caller: Caller, request_: Request[Any]) -> None:
    # Each byte arrives in time, but the whole response takes too long.
    body = b'{"id": "r-1", "status": "running"}' + b" " * 1000
    begin = time.monotonic()
    with ScriptedServer([dripping(body, pause=0.02)]) as server:
        error = error_of(caller, server.url, request_, timeout=0.3, max_retries=0)
    assert "the response took longer than 0.3 s" in str(error)
    assert error.in_doubt is (request_ is POST)
    assert 0.3 <= time.monotonic() - begin < 3


@BOTH
@pytest.mark.parametrize("reply", [endless(), sent(b" " * 70_000, "application/json")], ids=["endless", "large"])
def test_a_response_that_is_too_large(
    caller: Caller, request_: Request[Any], reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_RESPONSE_BYTES", 65_536)
    with ScriptedServer([reply]) as server:
        error = error_of(caller, server.url, request_, max_retries=0)
    assert "the response is larger than 65536 bytes" in str(error)
    assert error.in_doubt is (request_ is POST)


@pytest.mark.usefixtures("no_backoff")
def test_an_unknown_ca_is_named_with_the_setting_for_it(caller: Caller, tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*make_certificate(tmp_path))
    with context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True) as server:

        def accept() -> None:
            with suppress(OSError):
                server.accept()

        thread = Thread(target=accept)
        thread.start()
        error = error_of(caller, f"https://127.0.0.1:{server.getsockname()[1]}", GET, max_retries=0)
        thread.join()
    assert "set verify in the connection's extra to the path of its CA bundle" in str(error)
    assert not error.in_doubt
