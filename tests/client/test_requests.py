# SPDX-License-Identifier: Apache-2.0
"""What each request sends, and which arguments are rejected before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.limiter import Priority
from airflow_provider_agentruns.client.requests import DEFAULT_RESUME_BODY, Request, fill_resume_body
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.models import Rating
from tests.client.calling import RUN, Caller, settings
from tests.support.scripted_server import ScriptedServer, answer

FEEDBACK = {"object": "feedback", "id": "f-1", "rating": "POSITIVE"}

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
        (requests.get_run("r"), "/v1/runs/r"),
        (requests.get_run("r", include_steps=True), "/v1/runs/r?include=steps"),
        (requests.list_runs(), "/v1/runs?page=1&per_page=100"),
        (requests.list_runs(page=3, page_size=7), "/v1/runs?page=3&per_page=7"),
        (requests.list_threads(business_id="a&b=c"), "/v1/threads?page=1&per_page=100&business_id=a%26b%3Dc"),
        (requests.get_thread("t"), "/v1/threads/t"),
        (requests.list_agents(), "/v1/agents"),
    ],
)
def test_reading_requests(caller: Caller, request_: Request[Any], target: str) -> None:
    everything = {"id": "x", "status": "running", "type": "t", "data": [], "has_more": False}
    with ScriptedServer([answer(everything)]) as server:
        caller.send(settings(server.url), request_)
    [seen] = server.requests
    assert (seen.method, seen.target, seen.body) == ("GET", target, b"")
    assert request_.repeatable
    assert request_.priority is Priority.WAIT


@pytest.mark.parametrize(
    ("context", "body"),
    [
        ({"business_id": "b"}, {"business_id": "b"}),
        ({"context_type": "company", "context_id": "c"}, {"context_type": "company", "context_id": "c"}),
        ({"thread_id": "t", "business_id": "b"}, {"thread_id": "t", "business_id": "b"}),
        ({"thread_id": "t", "business_id": "", "context_id": None}, {"thread_id": "t"}),
    ],
)
def test_a_start_sends_the_context(context: dict[str, Any], body: dict[str, Any]) -> None:
    request = requests.create_run("instant", **context)
    assert (request.method, request.path, request.body) == ("POST", "/v1/runs", {"type": "instant", **body})
    assert not request.repeatable
    assert request.priority is Priority.START


@pytest.mark.parametrize(
    ("context", "problem"),
    [
        ({}, "needs something to work on"),
        ({"business_id": ""}, "needs something to work on"),
        ({"context_type": "business"}, "context_type is set without context_id"),
        ({"context_id": "c"}, "context_id is set without context_type"),
        ({"context_type": "company", "thread_id": "t"}, "without context_id"),
        ({"business_id": "b", "context_type": "business", "context_id": "b"}, "one or the other"),
    ],
)
def test_a_contradictory_context_is_rejected(context: dict[str, Any], problem: str) -> None:
    with pytest.raises(AgentRunsValueError, match=problem):
        requests.create_run("instant", **context)


def test_a_thread_needs_no_context_but_not_half_of_one() -> None:
    assert requests.create_thread("instant").body == {"type": "instant"}
    assert requests.create_thread("instant", business_id="b").body == {"type": "instant", "business_id": "b"}
    with pytest.raises(AgentRunsValueError, match="without context_id"):
        requests.create_thread("instant", context_type="business")


@pytest.mark.parametrize("rating", ["NEGATIVE", Rating.NEGATIVE])
def test_feedback(caller: Caller, rating: str) -> None:
    with ScriptedServer([answer(FEEDBACK, 201), answer(FEEDBACK, 201)]) as server:
        with_comment = requests.rate_artifact("r", "a", rating, "x" * 5000)
        [_, feedback] = caller.send(settings(server.url), requests.rate_artifact("r", "a", rating), with_comment)
    assert [r.target for r in server.requests] == ["/v1/runs/r/feedback"] * 2
    assert server.requests[0].json == {"rating": "NEGATIVE", "artifact_id": "a"}
    assert server.requests[1].json == {"rating": "NEGATIVE", "artifact_id": "a", "comment": "x" * 5000}
    assert (feedback.id, feedback.rating) == ("f-1", "POSITIVE")


def test_other_arguments_that_the_service_would_reject() -> None:
    for rating in ("positive", "", None, 1, ["POSITIVE"]):
        with pytest.raises(AgentRunsValueError, match="POSITIVE or NEGATIVE"):
            requests.rate_artifact("r", "a", rating)  # type: ignore[arg-type]
    with pytest.raises(AgentRunsValueError, match="5001 characters"):
        requests.rate_artifact("r", "a", "POSITIVE", "x" * 5001)
    with pytest.raises(AgentRunsValueError, match="page_size must be at least 1"):
        requests.list_runs(page_size=0)


class TestIds:
    @pytest.mark.parametrize(
        ("run_id", "segment"),
        [
            ("0b4c4a6e-7f0e-4a4e-9d57-0f5f2a1c2b3d", "0b4c4a6e-7f0e-4a4e-9d57-0f5f2a1c2b3d"),
            ("../agents", "..%2Fagents"),
            ("a?include=steps", "a%3Finclude%3Dsteps"),
            ("a%2Fb", "a%252Fb"),
            ("a b+c", "a%20b%2Bc"),
            ("lauf-äß-運行", "lauf-%C3%A4%C3%9F-%E9%81%8B%E8%A1%8C"),
        ],
    )
    def test_an_id_is_one_segment_of_the_path(self, caller: Caller, run_id: str, segment: str) -> None:
        with ScriptedServer([answer(RUN), answer(RUN)]) as server:
            caller.send(settings(server.url), requests.get_run(run_id), requests.resume_run(run_id, "i", "yes"))
            assert [r.target for r in server.requests] == [f"/v1/runs/{segment}", f"/v1/runs/{segment}/resume"]

    @pytest.mark.parametrize("value", NO_ID, ids=lambda value: repr(value)[:30])
    @pytest.mark.parametrize("build", WITH_ID)
    def test_text_that_is_not_an_id_is_rejected(self, build: Callable[[Any], Any], value: Any) -> None:
        with pytest.raises(AgentRunsValueError, match=r"^(run|thread)_id "):
            build(value)

    @pytest.mark.parametrize("value", NONSENSE, ids=repr)
    def test_nonsense_is_rejected_in_other_fields(self, value: Any) -> None:
        for build in WITH_TEXT:
            with pytest.raises(AgentRunsValueError, match=r"^(agent|interrupt_id|artifact_id) "):
                build(value)
        if value:
            for build in WITH_CONTEXT:
                with pytest.raises(AgentRunsValueError, match=r"^(business_id|context_type|context_id|thread_id) "):
                    build(value)


class Circle(list[Any]):
    """A value that contains itself."""

    def __init__(self) -> None:
        super().__init__([self])


class TestResumeBody:
    @pytest.mark.parametrize(
        "value",
        ["yes", "", "None", "{{ no template }}", "ünï", 0, 1.5, True, None, [], [1, {"a": None}]],
        ids=repr,
    )
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
            ({"r": [{"id": "{interrupt_id}"}, ["{input}", 7, None]]}, [1], {"r": [{"id": "i-1"}, [[1], 7, None]]}),
            ({"x-{interrupt_id}": {"{input}": True}}, "yes", {"x-i-1": {"yes": True}}),
            ({"{interrupt_id}": {"{input}": True}}, {"a": 1}, {"i-1": {'{"a": 1}': True}}),
            ({"text": "{interrupt_id}: {input}, {input}"}, "yes", {"text": "i-1: yes, yes"}),
            ({"text": "{interrupt_id}={input}"}, {"ä": None}, {"text": 'i-1={"ä": null}'}),
            ({"a": "{interrupt_id}", "b": "{input}", "c": "{other} {}"}, 1, {"a": "i-1", "b": 1, "c": "{other} {}"}),
        ],
    )
    def test_placeholders_are_replaced(self, template: dict[str, Any], value: Any, body: dict[str, Any]) -> None:
        before = repr(template)
        assert fill_resume_body(template, "i-1", value) == body
        assert repr(template) == before

    def test_placeholders_in_an_answer_stay(self) -> None:
        text = "{interrupt_id} {input}"
        assert fill_resume_body(DEFAULT_RESUME_BODY, "{input}", text) == {"interrupt_id": "{input}", "input": text}
        filled = fill_resume_body({"text": "{interrupt_id}|{input}"}, "{input}", text)
        assert filled == {"text": "{input}|{interrupt_id} {input}"}

    @pytest.mark.parametrize(
        "value",
        [object(), {1, 2}, b"bytes", float("nan"), float("inf"), {"a": {("t",): 1}}, Circle(), "half \ud83d"],
        ids=["object", "set", "bytes", "nan", "inf", "key", "circle", "surrogate"],
    )
    def test_a_value_that_is_not_json_is_rejected(self, value: Any) -> None:
        with pytest.raises(AgentRunsValueError, match="input must be a JSON value"):
            requests.resume_run("r-1", "i-1", value)
