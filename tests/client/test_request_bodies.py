# SPDX-License-Identifier: Apache-2.0
"""What requests say: context, pages, feedback."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.models import Rating
from tests.client.calling import Caller, settings
from tests.support.scripted_server import ScriptedServer, answer

FEEDBACK = {"object": "feedback", "id": "f-1", "rating": "POSITIVE"}


@pytest.mark.parametrize(
    ("context", "body"),
    [
        ({"business_id": "b"}, {"business_id": "b"}),
        ({"context_type": "company", "context_id": "c"}, {"context_type": "company", "context_id": "c"}),
        ({"thread_id": "t"}, {"thread_id": "t"}),
        ({"thread_id": "t", "business_id": "b"}, {"thread_id": "t", "business_id": "b"}),
        ({"thread_id": "t", "business_id": "", "context_id": None}, {"thread_id": "t"}),
    ],
)
def test_a_run_is_asked_for_with_the_context_that_was_given(context: dict[str, Any], body: dict[str, Any]) -> None:
    request = requests.create_run("instant", **context)
    assert (request.method, request.path) == ("POST", "/v1/runs")
    assert request.body == {"type": "instant", **body}
    assert not request.repeatable


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({}, "needs something to work on"),
        ({"business_id": ""}, "needs something to work on"),
        ({"context_type": "business"}, "context_type is set without context_id"),
        ({"context_id": "c"}, "context_id is set without context_type"),
        ({"context_type": "company", "thread_id": "t"}, "without context_id"),
        ({"business_id": "b", "context_type": "business", "context_id": "b"}, "one or the other"),
    ],
)
def test_a_context_that_does_not_add_up_is_refused(context: dict[str, Any], said: str) -> None:
    with pytest.raises(AgentRunsValueError, match=said):
        requests.create_run("instant", **context)


def test_a_thread_may_be_opened_without_context_but_not_with_half_of_one() -> None:
    assert requests.create_thread("instant").body == {"type": "instant"}
    assert requests.create_thread("instant", business_id="b").body == {"type": "instant", "business_id": "b"}
    with pytest.raises(AgentRunsValueError, match="without context_id"):
        requests.create_thread("instant", context_type="business")


@pytest.mark.parametrize(
    ("request_", "target"),
    [
        (requests.get_run("r"), "/v1/runs/r"),
        (requests.get_run("r", include_steps=True), "/v1/runs/r?include=steps"),
        (requests.list_runs(), "/v1/runs?page=1&per_page=100"),
        (requests.list_runs(page=3, page_size=7), "/v1/runs?page=3&per_page=7"),
        (requests.list_threads(business_id="a&b=c"), "/v1/threads?page=1&per_page=100&business_id=a%26b%3Dc"),
        (requests.get_thread("t"), "/v1/threads/t"),
        (requests.list_agents(), "/v1/agents"),
    ],
)
def test_a_reading_request_is_a_get_with_its_query(caller: Caller, request_: Request[Any], target: str) -> None:
    everything = {"id": "x", "status": "running", "type": "t", "data": [], "has_more": False}
    with ScriptedServer([answer(everything)]) as server:
        caller.send(settings(server.url), request_)
    [seen] = server.requests
    assert (seen.method, seen.target, seen.body) == ("GET", target, b"")
    assert request_.repeatable


def test_steps_can_be_asked_for_with_an_answer() -> None:
    assert requests.resume_run("r", "i", "yes", include_steps=True).params == {"include": "steps"}
    assert requests.resume_run("r", "i", "yes").params == {}


@pytest.mark.parametrize("page_size", [0, -1])
def test_a_page_without_room_is_refused(page_size: int) -> None:
    with pytest.raises(AgentRunsValueError, match="page_size must be at least 1"):
        requests.list_runs(page_size=page_size)


@pytest.mark.parametrize("rating", ["NEGATIVE", Rating.NEGATIVE])
def test_feedback_is_sent_as_the_reference_has_it(caller: Caller, rating: str) -> None:
    with ScriptedServer([answer(FEEDBACK, 201), answer(FEEDBACK, 201)]) as server:
        with_comment = requests.rate_artifact("r", "a", rating, "x" * 5000)
        [_, feedback] = caller.send(settings(server.url), requests.rate_artifact("r", "a", rating), with_comment)
    assert [r.target for r in server.requests] == ["/v1/runs/r/feedback"] * 2
    assert server.requests[0].json == {"rating": "NEGATIVE", "artifact_id": "a"}
    assert server.requests[1].json == {"rating": "NEGATIVE", "artifact_id": "a", "comment": "x" * 5000}
    assert (feedback.id, feedback.rating) == ("f-1", "POSITIVE")


@pytest.mark.parametrize("rating", ["positive", "", None, 1, ["POSITIVE"]])
def test_another_rating_is_refused(rating: Any) -> None:
    with pytest.raises(AgentRunsValueError, match="POSITIVE or NEGATIVE"):
        requests.rate_artifact("r", "a", rating)


def test_a_comment_that_the_service_would_refuse_is_refused() -> None:
    with pytest.raises(AgentRunsValueError, match="5001 characters"):
        requests.rate_artifact("r", "a", "POSITIVE", "x" * 5001)
