# SPDX-License-Identifier: Apache-2.0
"""The body that answers an interrupt: a template that the connection may change."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.requests import DEFAULT_RESUME_BODY, fill_resume_body
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from tests.client.calling import RUN, Caller, settings
from tests.support.scripted_server import ScriptedServer, answer

ANY_JSON = [
    "yes",
    "",
    "None",
    "{{ not a template here }}",
    "ünï",
    0,
    1.5,
    True,
    None,
    [],
    [1, {"a": None}],
    {"k": ["v"]},
]


@pytest.mark.parametrize("value", ANY_JSON, ids=repr)
def test_any_json_value_is_sent_as_it_is(caller: Caller, value: Any) -> None:
    with ScriptedServer([answer(RUN)]) as server:
        caller.send(settings(server.url), requests.resume_run("r-1", "i-1", value))
    [seen] = server.requests
    assert (seen.method, seen.target) == ("POST", "/v1/runs/r-1/resume")
    assert seen.json == {"interrupt_id": "i-1", "input": value}


@pytest.mark.parametrize(
    ("template", "value", "body"),
    [
        ({"id": "{interrupt_id}", "value": "{input}"}, {"a": 1}, {"id": "i-1", "value": {"a": 1}}),
        (
            {"resume": {"interrupts": [{"id": "{interrupt_id}", "payload": ["{input}", 7, None]}]}},
            [1, 2],
            {"resume": {"interrupts": [{"id": "i-1", "payload": [[1, 2], 7, None]}]}},
        ),
        ({"{interrupt_id}": "{input}"}, {"a": 1}, {"i-1": {"a": 1}}),
        ({"x-{interrupt_id}": {"{input}": True}}, "yes", {"x-i-1": {"yes": True}}),
        ({"{interrupt_id}": {"{input}": True}}, {"a": 1}, {"i-1": {'{"a": 1}': True}}),
        ({"text": "{interrupt_id}: {input}, {input}"}, "yes", {"text": "i-1: yes, yes"}),
        ({"text": "{interrupt_id}={input}"}, {"ä": None}, {"text": 'i-1={"ä": null}'}),
        ({"text": "{interrupt_id}={input}"}, True, {"text": "i-1=true"}),
        ({"a": "{interrupt_id}", "b": "{input}", "c": "{other} {}"}, 1, {"a": "i-1", "b": 1, "c": "{other} {}"}),
    ],
)
def test_a_template_is_filled_wherever_its_placeholders_are(
    template: dict[str, Any], value: Any, body: dict[str, Any]
) -> None:
    assert fill_resume_body(template, "i-1", value) == body


def test_what_was_put_in_is_not_looked_at_again() -> None:
    tricky = "{interrupt_id} {input}"
    assert fill_resume_body(DEFAULT_RESUME_BODY, "{input}", tricky) == {"interrupt_id": "{input}", "input": tricky}
    filled = fill_resume_body({"text": "{interrupt_id}|{input}"}, "{input}", tricky)
    assert filled == {"text": "{input}|{interrupt_id} {input}"}
    nested = {"{input}": ["{interrupt_id}"]}
    assert fill_resume_body(DEFAULT_RESUME_BODY, "i-1", nested)["input"] == nested


def test_a_template_is_left_as_it_was() -> None:
    template = {"a": ["{interrupt_id}", {"b": "{input}"}]}
    before = copy.deepcopy(template)
    fill_resume_body(template, "i-1", {"x": 1})
    assert template == before


def test_the_template_of_the_connection_is_what_is_sent(caller: Caller) -> None:
    where = {"resume_body": '{"command": {"resume": {"{interrupt_id}": "{input}"}}}'}
    with ScriptedServer([answer(RUN)]) as server:
        connection = settings(server.url, **where)
        caller.send(connection, requests.resume_run("r", "i-1", {"ok": True}, template=connection.resume_body))
    assert server.requests[0].json == {"command": {"resume": {"i-1": {"ok": True}}}}


class Circle(list[Any]):
    """A value that holds itself."""

    def __init__(self) -> None:
        super().__init__([self])


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        b"bytes",
        float("nan"),
        float("inf"),
        [1j],
        {"a": {("t",): 1}},
        Circle(),
        "half \ud83d",
        {"\ud83d": 1},
    ],
    ids=["object", "set", "bytes", "nan", "inf", "complex", "key", "circle", "surrogate", "surrogate key"],
)
def test_what_is_no_json_value_is_refused_before_anything_is_sent(value: Any) -> None:
    with pytest.raises(AgentRunsValueError, match="input must be a JSON value"):
        requests.resume_run("r-1", "i-1", value)
