# SPDX-License-Identifier: Apache-2.0
"""A response becomes a result, or an error with which a person can act."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.responses import Response
from airflow_provider_agentruns.exceptions import (
    AgentRunConflictError,
    AgentRunInvalidRequestError,
    AgentRunNotFoundError,
    AgentRunsAPIError,
    AgentRunsAuthError,
    AgentRunsRateLimitError,
    AgentRunsServerError,
)
from tests.client.calling import GET, POST, RUN, Caller, settings
from tests.support.scripted_server import Reply, ScriptedServer, answer, errors, html, redirect, sent

ASKING = {
    "id": "r-1",
    "status": "interrupted",
    "agent": "a",
    "created_at": "2026-01-31T12:00:00Z",
    "interrupts": [{"id": "i-1", "value": {"label": "Jane Doe?"}}, {"id": "i-2"}],
    "output": None,
    "requester": {"name": "Jane Doe"},
}
PARTIAL = {
    **{name: ASKING[name] for name in ("id", "status", "agent", "created_at")},
    "interrupts": [{"id": "i-1"}, {"id": "i-2"}],
}


def result_of(caller: Caller, reply: Reply, request: Request[Any]) -> Any:
    with ScriptedServer(lambda _: reply) as server:
        [result] = caller.send(settings(server.url, max_retries=0), request)
    return result


def error_of(caller: Caller, reply: Reply, request: Request[Any] = GET) -> AgentRunsAPIError:
    with pytest.raises(AgentRunsAPIError) as caught:
        result_of(caller, reply, request)
    return caught.value


@pytest.mark.usefixtures("short_holds")
@pytest.mark.parametrize(
    ("status", "kind", "retryable", "hint"),
    [
        (401, AgentRunsAuthError, False, "mk_test tokens to the sandbox"),
        (404, AgentRunNotFoundError, False, "Check the ID"),
        (409, AgentRunConflictError, False, ""),
        (422, AgentRunInvalidRequestError, False, ""),
        (429, AgentRunsRateLimitError, True, "lower rate_limit"),
        (500, AgentRunsServerError, True, ""),
    ],
)
def test_each_status_has_its_error(
    caller: Caller, status: int, kind: type[AgentRunsAPIError], retryable: bool, hint: str
) -> None:
    error = error_of(caller, errors(status, "first", "second", Retry_After="0"))
    assert type(error) is kind
    assert (error.status_code, error.messages) == (status, ("first", "second"))
    assert (error.method, error.path) == ("GET", "/v1/runs/r-1")
    assert error.retryable is retryable
    assert str(error).startswith(f"GET /v1/runs/r-1 returned {status}: first; second")
    assert hint in str(error)
    assert not error.in_doubt


@pytest.mark.parametrize("reply", [html(404), answer({"errors": None}, 404), sent(b"", "", 404)])
def test_an_error_without_messages_keeps_its_status(caller: Caller, reply: Reply) -> None:
    error = error_of(caller, reply)
    assert type(error) is AgentRunNotFoundError
    assert error.messages[0].startswith("no error message (")


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
def test_a_redirect_is_named_and_not_followed(caller: Caller, request_: Request[Any]) -> None:
    with ScriptedServer() as elsewhere:
        target = f"{elsewhere.url}/v1/runs/r-1"
        error = error_of(caller, redirect(target, 307), request_)
        assert elsewhere.connections == 0
    assert type(error) is AgentRunsAPIError
    assert target in str(error)
    assert "Correct the connection's base URL" in str(error)


@pytest.mark.parametrize(
    ("reply", "request_", "problem"),
    [
        (html(), GET, "is not JSON (text/html). Check that the connection's base URL is correct"),
        (sent(b"[" * 100_000, "application/json"), GET, "is not JSON"),
        (answer({"id": "r-1"}), GET, "cannot be read: status: Field required"),
        (answer({"id": "r-1", "status": 5}), requests.get_run_state("r-1"), "cannot be read: status"),
        (answer({"data": [{"id": "r-1"}]}), requests.list_runs(), "cannot be read: data.0.status"),
        (answer({"data": {"id": "r-1"}}), requests.list_run_states(), "cannot be read"),
    ],
)
def test_a_2xx_response_that_breaks_the_contract(
    caller: Caller, reply: Reply, request_: Request[Any], problem: str
) -> None:
    error = error_of(caller, reply, request_)
    assert type(error) is AgentRunsAPIError
    assert error.status_code == 200
    assert f"the response {problem}" in str(error)
    assert not error.in_doubt


def test_a_post_with_an_unreadable_response_is_in_doubt(caller: Caller) -> None:
    with ScriptedServer([html(201)]) as server, pytest.raises(AgentRunsAPIError) as caught:
        caller.send(settings(server.url), POST)
    assert caught.value.in_doubt
    assert len(server.requests) == 1


@pytest.mark.parametrize("field", ["thread_id", "created_at", "interrupts"])
def test_an_error_quotes_no_values(caller: Caller, field: str) -> None:
    person: Any = ["Jane Doe"] if field == "thread_id" else "Jane Doe, born 1980"
    error = error_of(caller, answer({"id": "r-1", "status": "completed", field: person}))
    assert f"cannot be read: {field}: " in str(error)
    assert "Jane" not in str(error)


def test_pollers_parse_little_of_a_run(caller: Caller) -> None:
    assert result_of(caller, answer(ASKING), requests.get_run_state("r-1")) == PARTIAL


def test_pollers_leave_out_invalid_entries_of_a_page(caller: Caller) -> None:
    entries = [RUN, "odd", {"id": 5, "status": "running"}, {**RUN, "status": None}, {**RUN, "id": "r-3"}]
    reply = answer({"has_more": None, "total_count": 12, "data": entries})
    page = result_of(caller, reply, requests.list_run_states(page=2, page_size=7))
    assert [listed["id"] for listed in page.data] == ["r-1", "r-3"]
    assert (page.left_out, bool(page.has_more), page.total_count) == (3, False, 12)
    assert result_of(caller, answer({"data": None}), requests.list_run_states()).data == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(" 7 ", 7.0), ("9" * 400, 999_999_999.0), ("-5", None), ("soon", None), ("Sat, 01 Aug 2020 12:00:00 GMT", 0.0)],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert Response(429, {"retry-after": value}, b"").retry_after == seconds


@pytest.mark.parametrize(
    ("as_sent", "as_read"),
    [
        (rb'"a \ud83d\ude00 b"', "a \U0001f600 b"),
        (rb'"a \ud83d b"', "a \ufffd b"),
        (rb'"\\ud83d"', "\\ud83d"),
    ],
)
def test_half_a_surrogate_pair_becomes_a_replacement_character(as_sent: bytes, as_read: str) -> None:
    body = b'{"id": "r-1", "status": "completed", "output": {"artifacts": [{"title": ' + as_sent + b"}]}}"
    run = GET.parse(Response(200, {}, body))
    assert run.raw_output == {"artifacts": [{"title": as_read}]}
