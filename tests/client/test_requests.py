# SPDX-License-Identifier: Apache-2.0
"""What each request sends, and which arguments are rejected before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.request_queue import Priority
from airflow_provider_agentruns.client.requests import Request, fill_resume_body
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from tests.client.calling import RUN, Caller, settings
from tests.support.scripted_server import ScriptedServer, answer

NONSENSE = ["", None, "None", "  \t ", "{{ ti.xcom_pull('start') }}", "{% if x %}r{% endif %}", 5]

NO_ID = [*NONSENSE, "x" * 10_240, "r\n1", "r-1\n", "..", ".", "r\x001", "r\ud800"]

WITH_ID: list[Callable[[Any], Any]] = [
    requests.get_run,
    requests.get_run_state,
    lambda value: requests.resume_run(value, "i", "yes"),
    requests.stream_run,
    lambda value: requests.rate_artifact(value, "a", "POSITIVE"),
    requests.get_thread,
]

WITH_TEXT: list[Callable[[Any], Any]] = [
    lambda value: requests.create_run(value, business_id="b"),
    lambda value: requests.create_thread(value, business_id="b"),
    lambda value: requests.resume_run("r", value, "yes"),
    lambda value: requests.rate_artifact("r", value, "POSITIVE"),
]

WITH_CONTEXT: list[Callable[[Any], Any]] = [
    lambda value: requests.create_run("a", business_id=value),
    lambda value: requests.create_run("a", context_type=value, context_id="c"),
    lambda value: requests.create_run("a", context_type="business", context_id=value),
    lambda value: requests.create_run("a", thread_id=value),
    lambda value: requests.create_thread("a", business_id=value),
    lambda value: requests.list_threads(business_id=value),
]


@pytest.mark.parametrize(
    ("request_", "target"),
    [
        (requests.get_run("a?b/c+ä"), "/v1/runs/a%3Fb%2Fc%2B%C3%A4"),
        (requests.get_run("r", include_steps=True), "/v1/runs/r?include=steps"),
        (requests.list_runs(page=3, page_size=7), "/v1/runs?page=3&per_page=7"),
        (requests.list_threads(business_id="a&b=c"), "/v1/threads?page=1&per_page=100&business_id=a%26b%3Dc"),
        (requests.get_thread("t"), "/v1/threads/t"),
    ],
)
def test_reading_requests(caller: Caller, request_: Request[Any], target: str) -> None:
    everything = {"id": "x", "status": "running", "type": "t", "data": [], "has_more": False}
    with ScriptedServer([answer(everything)]) as server:
        caller.send(settings(server.url), request_)
    [seen] = server.requests
    assert (seen.method, seen.target, seen.body) == ("GET", target, b"")
    assert request_.priority is Priority.WAIT


@pytest.mark.parametrize(
    "context",
    [{"business_id": "b"}, {"context_type": "company", "context_id": "c"}, {"thread_id": "t", "business_id": "b"}],
)
def test_a_start_sends_the_context(context: dict[str, Any]) -> None:
    request = requests.create_run("instant", **context)
    assert (request.method, request.path, request.body) == ("POST", "/v1/runs", {"type": "instant", **context})
    assert request.priority is Priority.START


@pytest.mark.parametrize(
    ("context", "problem"),
    [
        ({}, "needs something to work on"),
        ({"context_type": "business"}, "context_type is set without context_id"),
        ({"context_id": "c"}, "context_id is set without context_type"),
        ({"business_id": "b", "context_type": "business", "context_id": "b"}, "one or the other"),
    ],
)
def test_a_contradictory_context_is_rejected(context: dict[str, Any], problem: str) -> None:
    with pytest.raises(AgentRunsValueError, match=problem):
        requests.create_run("instant", **context)


@pytest.mark.parametrize("value", NO_ID, ids=lambda value: repr(value)[:30])
def test_text_that_is_not_an_id_is_rejected(value: Any) -> None:
    for build in WITH_ID:
        with pytest.raises(AgentRunsValueError, match=r"^(run|thread)_id "):
            build(value)


@pytest.mark.parametrize("value", NONSENSE, ids=repr)
def test_nonsense_is_rejected_in_other_fields(value: Any) -> None:
    for build in WITH_TEXT if value in ("", None) else [*WITH_TEXT, *WITH_CONTEXT]:
        with pytest.raises(AgentRunsValueError, match=r"^[a-z_]+_(id|type) |^agent "):
            build(value)


class TestResumeBody:
    @pytest.mark.parametrize("value", ["", "{{ no template }}", None, [1, {"a": "ünï"}]], ids=repr)
    def test_any_json_value_is_sent_unchanged(self, caller: Caller, value: Any) -> None:
        request = requests.resume_run("r-1", "i-1", value)
        with ScriptedServer([answer(RUN)]) as server:
            caller.send(settings(server.url), request)
        [seen] = server.requests
        assert (seen.method, seen.target) == ("POST", "/v1/runs/r-1/resume")
        assert seen.json == {"interrupt_id": "i-1", "input": value}
        assert request.priority is Priority.START
        assert requests.resume_run("r", "i", value, include_steps=True).params == {"include": "steps"}

    @pytest.mark.parametrize(
        ("template", "value", "body"),
        [
            ({"id": "{interrupt_id}", "value": "{input}"}, {"a": 1}, {"id": "i-1", "value": {"a": 1}}),
            ({"{interrupt_id}": {"{input}": True}}, {"a": 1}, {"i-1": {'{"a": 1}': True}}),
            ({"text": "{interrupt_id}={input}"}, {"ä": None}, {"text": 'i-1={"ä": null}'}),
            # Placeholders in an answer stay.
            ({"text": "{interrupt_id}|{input}"}, "{interrupt_id} {input}", {"text": "i-1|{interrupt_id} {input}"}),
        ],
    )
    def test_placeholders_are_replaced(self, template: dict[str, Any], value: Any, body: dict[str, Any]) -> None:
        assert fill_resume_body(template, "i-1", value) == body

    @pytest.mark.parametrize(
        "value",
        [object(), float("nan"), {"a": {("t",): 1}}, "half \ud83d"],
        ids=["object", "nan", "key", "surrogate"],
    )
    def test_a_value_that_is_not_json_is_rejected(self, value: Any) -> None:
        with pytest.raises(AgentRunsValueError, match="input must be a JSON value"):
            requests.resume_run("r-1", "i-1", value)
