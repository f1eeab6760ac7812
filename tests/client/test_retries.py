# SPDX-License-Identifier: Apache-2.0
"""A request is sent again where that helps and does no harm, after the pause that the service asks for."""

from __future__ import annotations

import itertools
from typing import Any

import pendulum
import pytest
from tenacity import Future, RetryCallState, Retrying

from airflow_provider_agentruns.client import requests, retries
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunsRateLimitError, AgentRunsServerError
from tests.client.calling import GET, POST, RUN, Caller, settings
from tests.support.scripted_server import Reply, ScriptedServer, answer, errors

POSTS: list[Request[Any]] = [
    POST,
    requests.resume_run("r-1", "i-1", "yes"),
    requests.rate_artifact("r-1", "a-1", "POSITIVE"),
    requests.create_thread("instant"),
]

RUN_OR_ELSE = answer({**RUN, "rating": "POSITIVE"})


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_get_that_a_gateway_failed_is_sent_again(caller: Caller, status: int) -> None:
    with ScriptedServer([errors(status, "later"), errors(status, "later"), answer(RUN)]) as server:
        [run] = caller.send(settings(server.url), GET)
    assert run.id == "r-1"
    assert [r.target for r in server.requests] == ["/v1/runs/r-1"] * 3


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("request_", POSTS, ids=lambda request: request.path)
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_post_that_a_gateway_failed_is_not_sent_again(caller: Caller, status: int, request_: Request[Any]) -> None:
    with (
        ScriptedServer([errors(status, "later"), RUN_OR_ELSE]) as server,
        pytest.raises(AgentRunsServerError) as caught,
    ):
        caller.send(settings(server.url), request_)
    assert len(server.requests) == 1
    assert (caught.value.in_doubt, caught.value.resend) == (True, False)


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 422, 500, 501])
@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
def test_an_error_that_patience_does_not_mend_is_raised_at_once(
    caller: Caller, status: int, request_: Request[Any]
) -> None:
    with ScriptedServer([errors(status, "no"), answer(RUN)]) as server, pytest.raises(AgentRunsAPIError) as caught:
        caller.send(settings(server.url), request_)
    assert caught.value.status_code == status
    assert len(server.requests) == 1


@pytest.mark.usefixtures("no_backoff", "short_holds")
@pytest.mark.parametrize("request_", [GET, *POSTS], ids=lambda request: f"{request.method} {request.path}")
def test_what_came_too_fast_is_sent_again_even_a_post(caller: Caller, request_: Request[Any]) -> None:
    with ScriptedServer([errors(429, "slow down"), RUN_OR_ELSE]) as server:
        caller.send(settings(server.url), request_)
    assert len(server.requests) == 2
    assert server.requests[0].body == server.requests[1].body


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("retries", [0, 1, 3])
def test_retries_end_at_the_number_that_the_connection_says(caller: Caller, retries: int) -> None:
    with ScriptedServer(lambda _: errors(503, "later")) as server, pytest.raises(AgentRunsServerError):
        caller.send(settings(server.url, max_retries=retries), GET)
    assert len(server.requests) == retries + 1


@pytest.mark.usefixtures("no_backoff", "short_holds")
def test_a_429_that_stays_is_an_error_that_says_what_to_do(caller: Caller) -> None:
    script = [errors(429, "slow down", Retry_After="0")] * 3
    with ScriptedServer(script) as server, pytest.raises(AgentRunsRateLimitError, match="lower rate_limit") as caught:
        caller.send(settings(server.url, max_retries=2), POST)
    assert server.unused == 0
    assert not caught.value.in_doubt


@pytest.mark.usefixtures("no_backoff")
def test_the_seconds_that_the_service_asks_for_are_waited(caller: Caller) -> None:
    with ScriptedServer([errors(503, "later", Retry_After="1"), answer(RUN)]) as server:
        caller.send(settings(server.url), GET)
    first, second = server.requests
    assert 1.0 <= second.at - first.at < 1.8


@pytest.mark.usefixtures("no_backoff")
def test_no_pause_is_longer_than_the_longest_whatever_is_asked_for(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert retries.LONGEST_PAUSE <= 60
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.1)
    in_a_year = pendulum.now("UTC").add(years=1).format("ddd, DD MMM YYYY HH:mm:ss [GMT]")
    asked = ["9" * 300, in_a_year, "31536000"]
    script = [errors(status, "later", Retry_After=pause) for pause in asked for status in (429, 503)]
    with ScriptedServer([*script, answer(RUN)]) as server:
        caller.send(settings(server.url, max_retries=6), GET)
    moments = [r.at for r in server.requests]
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert len(gaps) == 6
    assert all(0.09 <= gap < 0.6 for gap in gaps)


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("nonsense", ["soon", "-5", "1.5", "Wed, 99 Foo 2026 99:99:99 GMT"])
def test_a_pause_that_makes_no_sense_is_not_waited(caller: Caller, nonsense: str) -> None:
    with ScriptedServer([errors(503, "later", Retry_After=nonsense), answer(RUN)]) as server:
        caller.send(settings(server.url), GET)
    first, second = server.requests
    assert second.at - first.at < 0.5


def pause(attempt: int, error: BaseException) -> float:
    """Return how long the policy waits after an attempt with that error."""
    state = RetryCallState(Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = attempt
    state.outcome = Future.construct(attempt, error, has_exception=True)
    waited: float = retries.policy(5)["wait"](state)
    return waited


def rate_limited(retry_after: float | None) -> AgentRunsRateLimitError:
    """Return a 429 that asks for a pause."""
    return AgentRunsRateLimitError(429, [], "GET", "/", retry_after=retry_after)


def test_pauses_grow_and_vary_where_the_service_asks_for_none() -> None:
    longest = [max(pause(attempt, rate_limited(None)) for _ in range(200)) for attempt in (1, 3, 6)]
    assert longest == sorted(longest)
    assert longest[0] <= 0.5 < longest[1] <= 2.0 < longest[2] <= 16.0
    assert len({pause(5, rate_limited(None)) for _ in range(20)}) > 10
    assert max(pause(50, rate_limited(None)) for _ in range(200)) <= 30.0


def test_a_pause_that_is_asked_for_is_the_least_and_a_minute_is_the_most() -> None:
    assert all(pause(1, rate_limited(7.0)) == 7.0 for _ in range(20))
    assert pause(1, rate_limited(1e9)) == 60.0
    assert pause(1, rate_limited(0.0)) <= 0.5


@pytest.mark.usefixtures("no_backoff")
def test_each_retry_is_told_with_its_reason(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedServer([errors(503, "out for lunch"), answer(RUN)]) as server:
        caller.send(settings(server.url), GET)
    [told] = [record.getMessage() for record in caplog.records if record.name == retries.__name__]
    assert told == "GET /v1/runs/r-1 returned 503: out for lunch; retrying in 0.0 s"


@pytest.mark.usefixtures("no_backoff", "short_holds")
def test_different_troubles_count_together(caller: Caller) -> None:
    script: list[Reply] = [errors(503, "a"), errors(429, "b", Retry_After="0"), errors(502, "c"), errors(504, "d")]
    with ScriptedServer([*script, answer(RUN)]) as server, pytest.raises(AgentRunsServerError, match="d"):
        caller.send(settings(server.url, max_retries=3), GET)
    assert server.unused == 1
