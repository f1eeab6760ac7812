# SPDX-License-Identifier: Apache-2.0
"""The token is told to the service and to nobody else, whatever the service does with it."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.exceptions import AgentRunsError
from tests.client.calling import GET, POST, TOKEN, Caller, settings
from tests.support.scripted_server import LOST, Reply, ScriptedServer, answer, errors, redirect, sent, unused_port

ECHOES: dict[str, Reply] = {
    "in an error": errors(401, f"The token {TOKEN} is not valid, {TOKEN}!"),
    "as the wrong field": answer({"errors": [{"message": "is wrong", "parameter": TOKEN}]}, 422),
    "in a redirect": redirect(f"https://other.example.com/?token={TOKEN}"),
    "as a content type": sent(b"", f"text/{TOKEN}"),
    "as a content type of an error": sent(b"", f"text/{TOKEN}", 500),
    "as a field": answer({"id": TOKEN, "status": 5, TOKEN: TOKEN}),
    "as the head of a page": sent(f"<html>{TOKEN}".encode(), "text/html"),
}


def told(error: BaseException) -> str:
    """Return all that a log would show of an error."""
    return "".join([str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)])


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_a_service_that_sends_the_token_back_does_not_get_it_into_an_error(
    caller: Caller, echo: Reply, request_: Request[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "airflow_provider_agentruns")
    with ScriptedServer([echo]) as server, pytest.raises(AgentRunsError) as caught:
        caller.send(settings(server.url, max_retries=0), request_)
    assert TOKEN in server.requests[0].headers["authorization"]
    assert TOKEN not in told(caught.value)
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("name", ["in an error", "in a redirect", "as a content type", "as the head of a page"])
def test_nor_into_the_error_of_a_stream(caller: Caller, name: str) -> None:
    with ScriptedServer([ECHOES[name]]) as server, pytest.raises(AgentRunsError) as caught:
        caller.stream(settings(server.url), requests.stream_run("r-1"), [])
    assert TOKEN not in told(caught.value)


def test_what_is_left_of_an_error_shows_that_something_was_taken_out(caller: Caller) -> None:
    with ScriptedServer([ECHOES["in an error"]]) as server, pytest.raises(AgentRunsError) as caught:
        caller.send(settings(server.url), GET)
    assert "The token *** is not valid, ***!" in str(caught.value)


@pytest.mark.usefixtures("no_backoff")
def test_a_wire_that_breaks_does_not_tell_the_token(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    # All loggers: those of the HTTP client as well.
    caplog.set_level(logging.DEBUG)
    with ScriptedServer([LOST, errors(503, "later"), LOST]) as server, pytest.raises(AgentRunsError) as caught:
        caller.send(settings(server.url, max_retries=2), GET)
    assert len(server.requests) == 3
    assert TOKEN not in told(caught.value)
    assert "retrying" in caplog.text
    assert TOKEN not in caplog.text


def test_a_proxy_that_cannot_be_reached_does_not_tell_its_password(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "airflow_provider_agentruns")
    proxy = f"http://user:{TOKEN}@127.0.0.1:{unused_port()}"
    with pytest.raises(AgentRunsError, match="could not be reached") as caught:
        caller.send(settings("https://service.invalid", proxy=proxy, max_retries=0), GET)
    assert TOKEN not in told(caught.value)
    assert TOKEN not in caplog.text


def test_a_proxy_that_refuses_does_not_tell_its_password(caller: Caller) -> None:
    with ScriptedServer([errors(407, f"not with {TOKEN}")]) as refusing:
        proxy = f"http://user:{TOKEN}@127.0.0.1:{refusing.port}"
        with pytest.raises(AgentRunsError, match="ProxyError: 407") as caught:
            caller.send(settings("https://service.invalid", proxy=proxy, max_retries=0), GET)
    assert refusing.requests[0].method == "CONNECT"
    assert "authorization" not in refusing.requests[0].headers
    assert TOKEN not in told(caught.value)
