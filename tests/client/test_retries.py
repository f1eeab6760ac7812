# SPDX-License-Identifier: Apache-2.0
"""A request is repeated if that is harmless, after the pause that the service asks for."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest

from airflow_provider_agentruns.client import requests, retries
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunsRateLimitError, AgentRunsServerError
from tests.client.calling import GET, POST, RUN, Caller, settings
from tests.support.scripted_server import ScriptedServer, answer, errors

POSTS: list[Request[Any]] = [
    POST,
    requests.resume_run("r-1", "i-1", "yes"),
    requests.rate_artifact("r-1", "a-1", "POSITIVE"),
    requests.create_thread("instant"),
]

ANY_RESULT = answer({**RUN, "rating": "POSITIVE"})

pytestmark = pytest.mark.usefixtures("no_backoff")


def test_a_get_is_repeated_after_errors_of_a_gateway(caller: Caller) -> None:
    script = [errors(502, "later"), errors(503, "later"), errors(504, "later"), answer(RUN)]
    with ScriptedServer(script) as server:
        [run] = caller.send(settings(server.url), GET)
    assert run.id == "r-1"
    assert [r.target for r in server.requests] == ["/v1/runs/r-1"] * 4


@pytest.mark.parametrize(
    ("request_", "status"), [*((post, 503) for post in POSTS), (POST, 500), (POST, 422), (GET, 401), (GET, 500)]
)
def test_other_errors_are_raised_at_once(caller: Caller, request_: Request[Any], status: int) -> None:
    with ScriptedServer([errors(status, "no"), ANY_RESULT]) as server, pytest.raises(AgentRunsAPIError) as caught:
        caller.send(settings(server.url), request_)
    assert caught.value.status_code == status
    assert caught.value.in_doubt is (status >= 500 and request_ is not GET)
    assert len(server.requests) == 1


@pytest.mark.usefixtures("short_holds")
@pytest.mark.parametrize("request_", [GET, *POSTS], ids=lambda request: f"{request.method} {request.path}")
def test_any_request_is_repeated_after_a_429(caller: Caller, request_: Request[Any]) -> None:
    with ScriptedServer([errors(429, "slow down"), ANY_RESULT]) as server:
        caller.send(settings(server.url), request_)
    assert len(server.requests) == 2
    assert server.requests[0].body == server.requests[1].body


@pytest.mark.parametrize(("max_retries", "sent"), [(0, 1), (1, 3), (3, 5)])
def test_the_connection_limits_the_repetitions_after_faults(caller: Caller, max_retries: int, sent: int) -> None:
    script = [errors(503, "a"), errors(429, "b", Retry_After="0"), *[errors(502, "c")] * 3, answer(RUN)]
    with ScriptedServer(script) as server, pytest.raises(AgentRunsServerError):
        caller.send(settings(server.url, max_retries=max_retries), GET)
    assert len(server.requests) == sent


@pytest.mark.usefixtures("short_holds")
def test_a_time_budget_limits_the_repetitions_after_a_429(caller: Caller) -> None:
    with ScriptedServer(lambda _: errors(429, "slow down")) as server, pytest.raises(AgentRunsRateLimitError):
        caller.send(settings(server.url, max_retries=0), POST)
    assert len(server.requests) >= 2


def test_the_budget_begins_with_the_first_429() -> None:
    """The rate limit may have delayed the request for a long time before, and delays each repetition."""
    stop = retries.policy(max_retries=1)["stop"]
    error = AgentRunsRateLimitError(429, ["slow down"], "GET", "/v1/runs")
    outcome = SimpleNamespace(exception=lambda: error)

    def stops(after: float) -> bool:
        return bool(stop(SimpleNamespace(outcome=outcome, seconds_since_start=after)))

    assert [stops(after) for after in (5000.0, 5001.0, 5299.0)] == [False] * 3
    assert [stops(after) for after in (5301.0, 5302.0)] == [False, True]


def test_the_longest_pause(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    assert retries.LONGEST_PAUSE <= 60
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.1)
    in_a_year = pendulum.now("UTC").add(years=1).format("ddd, DD MMM YYYY HH:mm:ss [GMT]")
    script = [errors(status, "later", Retry_After=pause) for pause in ("9" * 300, in_a_year) for status in (429, 503)]
    with ScriptedServer([*script, answer(RUN)]) as server:
        caller.send(settings(server.url, max_retries=6), GET)
    gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(server.requests)]
    assert len(gaps) == 4
    assert all(0.09 <= gap < 5 for gap in gaps)


def test_each_repetition_is_logged(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedServer([errors(503, "out for\nlunch"), answer(RUN)]) as server:
        caller.send(settings(server.url), GET)
    [message] = [record.getMessage() for record in caplog.records if record.name == retries.__name__]
    assert message == r"GET /v1/runs/r-1 returned 503: out for\nlunch; retrying in 0.0 s, or later under the rate limit"
