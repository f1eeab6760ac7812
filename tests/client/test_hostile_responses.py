# SPDX-License-Identifier: Apache-2.0
"""Responses of a hostile or broken service: bombs, cookies, control characters. Both transports, streams too."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import time
import traceback
import tracemalloc
import zlib
from contextlib import aclosing
from typing import Any

import pytest

from airflow_provider_agentruns import models
from airflow_provider_agentruns.client import requests, transport
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.transport import AsyncTransport
from airflow_provider_agentruns.exceptions import (
    AgentRunsAPIError,
    AgentRunsConfigError,
    AgentRunsConnectionError,
    AgentRunsError,
)
from airflow_provider_agentruns.models import RunStatus
from tests.client.calling import GET, POST, RUN, TOKEN, Caller, settings
from tests.support.scripted_server import Reply, ScriptedServer, answer, errors, sent, unused_port

MB = 1024 * 1024
BODY = json.dumps(RUN).encode()


def zipped(body: bytes, encoding: str) -> Reply:
    return sent(body, "application/json", Content_Encoding=encoding)


def bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    return b"".join([*(packer.compress(bytes(MB)) for _ in range(megabytes)), packer.flush()])


#: A compressed bomb takes a few milliseconds to make, and 600 MB in memory if nothing stops it.
BOMB = bomb(600)

STACKED = gzip.compress(BOMB)


@pytest.mark.parametrize("reply", [zipped(gzip.compress(BODY), "gzip"), zipped(BODY, "identity")], ids=["gzip", "none"])
def test_gzip_and_no_encoding_are_accepted(caller: Caller, reply: Reply) -> None:
    with ScriptedServer([reply]) as server:
        [run] = caller.send(settings(server.url), GET)
    assert run.id == "r-1"
    assert server.requests[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (zipped(STACKED, "gzip, gzip"), "'gzip, gzip' instead of gzip or none"),
        (zipped(BODY, "br"), "'br' instead of gzip or none"),
        (zipped(gzip.compress(BODY) + b"garbage", "gzip"), "data after its end"),
        (zipped(gzip.compress(BODY)[:-9], "gzip"), "incomplete"),
        (zipped(BODY, "gzip"), "cannot be decompressed"),
        (zipped(BOMB, "gzip"), "larger than"),
    ],
)
def test_other_encodings_and_bombs_are_rejected_with_little_memory(
    caller: Caller, request_: Request[Any], reply: Reply, problem: str
) -> None:
    with ScriptedServer([reply]) as server:
        tracemalloc.start()
        try:
            with pytest.raises(AgentRunsConnectionError, match=problem) as caught:
                caller.send(settings(server.url, max_retries=0), request_)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 80 * MB
    assert caught.value.in_doubt is (request_ is POST)


@pytest.mark.parametrize(("encoding", "body"), [("gzip", BOMB), ("gzip, gzip", STACKED), ("br", b"x")])
def test_a_compressed_stream_of_events_is_rejected(caller: Caller, encoding: str, body: bytes) -> None:
    reply = sent(body, "text/event-stream", Content_Encoding=encoding)
    with ScriptedServer([reply]) as server, pytest.raises(AgentRunsError, match=r"compressed|instead of gzip"):
        caller.stream(settings(server.url), requests.stream_run("r-1"), [])
    assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("request_", [requests.get_run_state("r-1"), requests.list_run_states()])
def test_a_poller_reads_a_few_megabytes_at_most(caller: Caller, request_: Request[Any]) -> None:
    document = b'{"id": "r-1", "status": "running", "data": [], "output": {"artifacts": [{"title": "%b"}]}}'
    with (
        ScriptedServer([sent(document % (b"x" * 17 * MB), "application/json")]) as server,
        pytest.raises(AgentRunsConnectionError, match=f"larger than {16 * MB} bytes"),
    ):
        caller.send(settings(server.url, max_retries=0), request_)


async def test_a_large_response_is_parsed_outside_of_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(_: object) -> str:
        time.sleep(0.5)
        return "parsed"

    worst, begin = 0.0, time.monotonic()
    request = Request("GET", "/v1/agents", slow)
    with ScriptedServer([sent(b" " * 2 * MB, "application/json")]) as server:
        async with aclosing(AsyncTransport(settings(server.url))) as transport:
            sending = asyncio.create_task(transport.send(request))
            while not sending.done():
                await asyncio.sleep(0.01)
                worst, begin = max(worst, time.monotonic() - begin), time.monotonic()
            assert await sending == "parsed"
    assert worst < 0.45


def test_cookies_are_neither_stored_nor_sent_back(caller: Caller) -> None:
    with ScriptedServer(lambda _: answer(RUN, Set_Cookie="id=1; Path=/")) as server:
        caller.send(settings(server.url), GET, GET, GET)
    assert len(server.requests) == 3
    assert not [request for request in server.requests if "cookie" in request.headers]


class TestProxies:
    """Whoever runs a proxy reads the token of a request over plain HTTP."""

    @pytest.fixture
    def proxy(self) -> ScriptedServer:
        return ScriptedServer(lambda _: answer({**RUN, "id": "proxied"}))

    @pytest.mark.parametrize("configured", ["http_proxy", "HTTP_PROXY", "all_proxy", "the connection"])
    def test_plain_http_to_this_machine_uses_no_proxy(
        self, caller: Caller, configured: str, proxy: ScriptedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with proxy, ScriptedServer([answer(RUN)]) as server:
            monkeypatch.setenv(configured, proxy.url)
            fields = {"proxy": proxy.url} if configured == "the connection" else {}
            [run] = caller.send(settings(server.url, **fields), GET)
        assert run.id == "r-1"
        assert not proxy.requests

    @pytest.mark.parametrize(
        ("name", "value", "problem"),
        [
            ("ALL_PROXY", "socks://proxy:1080", "ALL_PROXY should be a URL such as http://proxy.example.com:3128"),
            ("https_proxy", "socks5://proxy:1080", "HTTPS_PROXY is a SOCKS proxy: install airflow-provider-agentruns"),
            ("SSL_CERT_FILE", "/no/such/file", "environment variable SSL_CERT_FILE: no CA certificates can be read"),
        ],
    )
    def test_a_wrong_setting_in_the_environment_is_named(
        self, caller: Caller, monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
    ) -> None:
        monkeypatch.setenv(name, value)
        transport._ssl_context.cache_clear()
        with pytest.raises(AgentRunsConfigError, match=problem):
            caller.send(settings("https://service.invalid"), GET)

    def test_if_plain_http_is_allowed_a_proxy_is_used_except_for_networks_in_no_proxy(
        self, caller: Caller, proxy: ScriptedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,fd00::/8")
        with proxy:
            monkeypatch.setenv("http_proxy", proxy.url.removeprefix("http://"))
            [run] = caller.send(settings("http://service.invalid", allow_http=True), GET)
            assert run.id == "proxied"
        with ScriptedServer([answer(RUN)]) as server:
            [run] = caller.send(settings(server.url, allow_http=True), GET)
            assert run.id == "r-1"

    def test_no_error_contains_the_password_of_a_proxy(self, caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, "airflow_provider_agentruns")
        with ScriptedServer([errors(407, f"not with {TOKEN}")]) as proxy:
            ports = [proxy.port, unused_port()]
            for port in ports:
                where = settings("https://service.invalid", proxy=f"http://me:{TOKEN}@127.0.0.1:{port}", max_retries=0)
                with pytest.raises(AgentRunsConnectionError) as caught:
                    caller.send(where, GET)
                assert TOKEN not in "".join([repr(caught.value), *traceback.format_exception(caught.value)])
        # The proxy itself does not see the service's token.
        assert [(request.method, "authorization" in request.headers) for request in proxy.requests] == [
            ("CONNECT", False)
        ]
        assert TOKEN not in caplog.text


class TestText:
    """Text of the service reaches logs and messages on one line, without control characters, and bounded."""

    NASTY = "bad\nINFO forged line\r\x1b[31mred\x1b[0m\u2028\u202e"

    @pytest.mark.parametrize(
        "reply",
        [
            errors(400, NASTY, NASTY),
            answer({"errors": [{"message": "x", "parameter": NASTY}]}, 422),
            answer({"id": "r-1", "status": "running", "output": {"artifacts": NASTY}}),
            errors(503, "x" * 1_000_000),
            errors(503, *["x" * 500] * 1000),
        ],
    )
    def test_messages_of_errors(self, caller: Caller, reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        with ScriptedServer([reply]) as server, pytest.raises(AgentRunsAPIError) as caught:
            caller.send(settings(server.url, max_retries=0), GET)
        for text in (str(caught.value), *caught.value.messages, *(r.getMessage() for r in caplog.records)):
            assert text.isprintable()
            assert len(text) < 10_000

    def test_unknown_statuses(self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(models, "_warned_of", set())
        assert RunStatus(self.NASTY).isprintable()
        tracemalloc.start()
        try:
            longest = max(len(RunStatus(f"{number} " + "x" * 10_000)) for number in range(3000))
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert longest <= 64
        assert kept < MB
        assert 0 < len(caplog.records) <= 21
        assert all(record.getMessage().isprintable() for record in caplog.records)
