# SPDX-License-Identifier: Apache-2.0
"""What an answer means: a result, or which error, said so that a person can act on it."""

from __future__ import annotations

from typing import Any

import pendulum
import pytest

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.responses import Response, listed_page, run_page
from airflow_provider_agentruns.exceptions import (
    AgentRunConflictError,
    AgentRunInvalidRequestError,
    AgentRunNotFoundError,
    AgentRunsAPIError,
    AgentRunsAuthError,
    AgentRunsRateLimitError,
    AgentRunsServerError,
)
from airflow_provider_agentruns.models import RunStatus
from tests.client.calling import GET, POST, RUN, Caller, settings
from tests.support.scripted_server import Reply, ScriptedServer, answer, errors, html, redirect, sent


def error_of(caller: Caller, reply: Reply, request: Request[Any] = GET) -> AgentRunsAPIError:
    """Return the error that a request meets which is sent just once and answered so."""
    with ScriptedServer([reply]) as server, pytest.raises(AgentRunsAPIError) as caught:
        caller.send(settings(server.url, max_retries=0), request)
    assert len(server.requests) == 1
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "retryable", "hint"),
    [
        (400, AgentRunInvalidRequestError, False, ""),
        (401, AgentRunsAuthError, False, "mk_test tokens to the sandbox"),
        (403, AgentRunsAuthError, False, "Check the API token"),
        (404, AgentRunNotFoundError, False, "Check the ID"),
        (405, AgentRunsAPIError, True, ""),
        (409, AgentRunConflictError, False, ""),
        (422, AgentRunInvalidRequestError, False, ""),
        (429, AgentRunsRateLimitError, True, "lower rate_limit"),
        (500, AgentRunsServerError, True, ""),
        (502, AgentRunsServerError, True, ""),
        (503, AgentRunsServerError, True, ""),
        (504, AgentRunsServerError, True, ""),
        (599, AgentRunsServerError, True, ""),
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


@pytest.mark.parametrize(("status", "in_doubt"), [(400, False), (409, False), (429, False), (500, True), (503, True)])
def test_only_a_failing_server_leaves_a_post_in_doubt(caller: Caller, status: int, in_doubt: bool) -> None:
    assert error_of(caller, errors(status, "no", Retry_After="0"), POST).in_doubt is in_doubt


def test_the_field_that_was_wrong_is_named(caller: Caller) -> None:
    entries = [{"message": "is invalid", "parameter": "business_id"}, {"message": "so be it", "parameter": None}]
    assert error_of(caller, answer({"errors": entries}, 422)).messages == ("is invalid (business_id)", "so be it")


@pytest.mark.parametrize(
    "reply",
    [
        html(404),
        sent(b"", "application/json", 404),
        sent(b"{", "application/json", 404),
        sent(b"\xff\xfe", "application/json", 404),
        answer({"error": "other shape"}, 404),
        answer({"errors": None}, 404),
        answer({"errors": []}, 404),
        answer({"errors": "text"}, 404),
        answer({"errors": ["text"]}, 404),
        answer({"errors": [{"detail": "no message"}]}, 404),
        answer(["list"], 404),
        answer(None, 404),
        answer(5, 404),
        sent(b"[" * 100_000, "application/json", 404),
    ],
    ids=lambda reply: repr(next(iter(reply.pieces))[:40]),
)
def test_an_error_without_the_services_own_words_is_still_the_error_of_its_status(caller: Caller, reply: Reply) -> None:
    error = error_of(caller, reply)
    assert type(error) is AgentRunNotFoundError
    assert error.messages == (f"no error message ({reply.headers['Content-Type']})",)


def test_an_error_without_body_or_type_is_told_so(caller: Caller) -> None:
    error = error_of(caller, Reply(status=404, headers={"Content-Length": "0"}))
    assert error.messages == ("no error message (no content type)",)


def test_long_and_many_messages_are_cut(caller: Caller) -> None:
    error = error_of(caller, errors(422, *["x" * 10_000] * 1000))
    assert len(error.messages) == 10
    assert {len(message) for message in error.messages} == {500}
    assert len(str(error)) < 6000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
def test_a_redirect_is_named_and_not_followed(caller: Caller, status: int, request_: Request[Any]) -> None:
    with ScriptedServer() as elsewhere:
        to = f"{elsewhere.url}/v1/runs/r-1"
        error = error_of(caller, redirect(to, status), request_)
        assert elsewhere.connections == 0
    assert type(error) is AgentRunsAPIError
    assert error.status_code == status
    assert to in str(error)
    assert "Correct the connection's base URL" in str(error)


@pytest.mark.parametrize(
    ("reply", "request_", "said"),
    [
        (html(), GET, "is not JSON (text/html). Check that the connection's base URL is the service"),
        (sent(b"", "application/json"), GET, "is not JSON"),
        (sent(b'{"id": "r-1", "sta', "application/json"), GET, "is not JSON"),
        (sent(b"\xff\xfe{}", "application/json"), GET, "is not JSON"),
        (sent(b"[" * 100_000, "application/json"), GET, "is not JSON"),
        (answer([]), GET, "cannot be read"),
        (answer(None), GET, "cannot be read"),
        (answer({"id": "r-1"}), GET, "cannot be read: status: Field required"),
        (answer({"id": "r-1", "status": None}), GET, "cannot be read: status"),
        (answer({"id": "r-1", "status": 5}), requests.get_run_status("r-1"), "cannot be read: status"),
        (html(), requests.get_run_status("r-1"), "is not JSON"),
        (answer({"data": [{"id": "r-1"}]}), requests.list_runs(), "cannot be read: data.0.status"),
        (answer({"data": 5}), requests.list_agents(), "cannot be read"),
        (answer(5), requests.list_agents(), "cannot be read"),
        (answer({"data": ["x"]}), requests.list_agents(), "cannot be read"),
    ],
)
def test_a_good_answer_that_cannot_be_read_is_an_error(
    caller: Caller, reply: Reply, request_: Request[Any], said: str
) -> None:
    error = error_of(caller, reply, request_)
    assert type(error) is AgentRunsAPIError
    assert error.status_code == 200
    assert f"the response {said}" in str(error)
    assert (error.in_doubt, error.resend) == (False, True)


def test_a_post_whose_answer_cannot_be_read_is_in_doubt_and_not_sent_again(caller: Caller) -> None:
    with ScriptedServer([html(201)]) as server, pytest.raises(AgentRunsAPIError) as caught:
        caller.send(settings(server.url), POST)
    assert (caught.value.in_doubt, caught.value.resend) == (True, False)
    assert len(server.requests) == 1


@pytest.mark.parametrize("field", ["thread_id", "created_at", "output", "requester", "interrupts"])
def test_what_cannot_be_read_is_not_quoted(caller: Caller, field: str) -> None:
    person: Any = ["Jane Doe"] if field == "thread_id" else "Jane Doe, born 1980"
    error = error_of(caller, answer({"id": "r-1", "status": "completed", field: person}))
    assert f"cannot be read: {field}: " in str(error)
    assert "Jane" not in str(error)


def test_each_kind_of_answer_is_read_as_what_it_is(caller: Caller) -> None:
    agent = {"object": "agent", "id": "a-1", "type": "instant"}
    replies = [
        answer({"object": "list", "has_more": True, "data": [RUN]}, Date="Sat, 01 Aug 2026 12:00:00 GMT"),
        answer(RUN),
        answer({"data": [agent]}),
        answer([agent]),
        answer({"data": None}),
        answer({"has_more": False, "data": [{"id": "t-1", "metadata": {"business_id": "b-1"}}]}),
    ]
    listings = [requests.list_agents()] * 3
    with ScriptedServer(replies) as server:
        page, status, agents, bare, none, threads = caller.send(
            settings(server.url),
            requests.list_runs(),
            requests.get_run_status("r-1"),
            *listings,
            requests.list_threads(),
        )
    assert (page.has_more, page.data[0].id) == (True, "r-1")
    assert page.served_at == pendulum.datetime(2026, 8, 1, 12)
    assert status is RunStatus.RUNNING
    assert (agents[0].type, bare[0].type, none) == ("instant", "instant", [])
    assert threads.data[0].metadata == {"business_id": "b-1"}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 7 ", 7.0),
        ("9" * 400, 999_999_999.0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("Wed, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_seconds_to_wait_are_read_where_they_make_sense(value: str, seconds: float | None) -> None:
    assert Response(429, {"retry-after": value}, b"").retry_after == seconds
    assert Response(429, {}, b"").retry_after is None


def test_a_moment_to_wait_for_is_read_as_well() -> None:
    in_an_hour = pendulum.now("UTC").add(hours=1).format("ddd, DD MMM YYYY HH:mm:ss [GMT]")
    assert Response(429, {"retry-after": in_an_hour}, b"").retry_after == pytest.approx(3600, abs=5)
    assert Response(429, {"retry-after": "Sat, 01 Aug 2020 12:00:00 GMT"}, b"").retry_after == 0.0


def test_a_field_of_the_document_is_not_taken_for_what_is_noted_of_the_answer() -> None:
    document = b'{"data": [], "has_more": false, "served_at": {}, "size": null, "left_out": "all"}'
    answer_ = Response(200, {"date": "Sat, 01 Aug 2026 12:00:00 GMT"}, document)
    assert run_page(answer_).served_at == pendulum.datetime(2026, 8, 1, 12)
    assert run_page(answer_).model_dump()["served_at"] == {}
    page = listed_page(answer_)
    assert (page.size, page.left_out, page.served_at) == (len(document), 0, 1_785_585_600.0)


def test_the_services_clock_is_read_where_it_is_shown() -> None:
    shown = Response(200, {"date": "Sat, 01 Aug 2026 14:00:00 +0200"}, b"").date
    assert shown == pendulum.datetime(2026, 8, 1, 12)
    assert Response(200, {"date": "lately"}, b"").date is None
    assert Response(200, {}, b"").date is None


@pytest.mark.parametrize(
    ("sent_as", "read_as"),
    [
        (rb'"a \ud83d\ude00 b"', "a \U0001f600 b"),
        (rb'"a \ud83d b"', "a \ufffd b"),
        (rb'"\uDE00\ud83d"', "\ufffd\ufffd"),
        (rb'"\\ud83d"', "\\ud83d"),
        (rb'"a\u0000b"', "a\0b"),
    ],
)
def test_what_is_no_character_becomes_one_that_can_be_carried_on(caller: Caller, sent_as: bytes, read_as: str) -> None:
    body = b'{"id": "r-1", "status": "completed", "output": {"artifacts": [{"title": ' + sent_as + b"}]}}"
    with ScriptedServer([sent(body, "application/json")] * 2) as server:
        run, status = caller.send(settings(server.url), GET, requests.get_run_status("r-1"))
    assert run.raw_output == {"artifacts": [{"title": read_as}]}
    run.raw_output["artifacts"][0]["title"].encode()
    assert status is RunStatus.COMPLETED
