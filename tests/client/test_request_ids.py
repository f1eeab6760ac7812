# SPDX-License-Identifier: Apache-2.0
"""Ids go into paths and bodies: as one segment whatever they hold, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from tests.client.calling import RUN, Caller, settings
from tests.support.scripted_server import ScriptedServer, answer

NONSENSE = {
    "empty": "",
    "nothing": None,
    "the word None": "None",
    "blank": "  \t ",
    "unrendered": "{{ ti.xcom_pull('start') }}",
    "unrendered block": "{% if x %}r{% endif %}",
    "number": 5,
}

NO_IDS = NONSENSE | {
    "far too long": "x" * 10_240,
    "line break": "r\n1",
    "trailing line break": "r-1\n",
    "up": "..",
    "here": ".",
    "null byte": "r\x001",
    "half a character": "r\ud800",
}

BY_ID: dict[str, Callable[[Any], Any]] = {
    "get_run": requests.get_run,
    "get_run_status": requests.get_run_status,
    "resume_run": lambda value: requests.resume_run(value, "i", "yes"),
    "stream_run": requests.stream_run,
    "rate_artifact": lambda value: requests.rate_artifact(value, "a", "POSITIVE"),
    "get_thread": requests.get_thread,
}

IN_BODY: dict[str, Callable[[Any], Any]] = {
    "agent": lambda value: requests.create_run(value, business_id="b"),
    "agent of a thread": lambda value: requests.create_thread(value, business_id="b"),
    "interrupt_id": lambda value: requests.resume_run("r", value, "yes"),
    "artifact_id": lambda value: requests.rate_artifact("r", value, "POSITIVE"),
}

CONTEXTS: dict[str, Callable[[Any], Any]] = {
    "business_id": lambda value: requests.create_run("a", business_id=value),
    "context_type": lambda value: requests.create_run("a", context_type=value, context_id="c"),
    "context_id": lambda value: requests.create_run("a", context_type="business", context_id=value),
    "thread_id": lambda value: requests.create_run("a", thread_id=value),
    "business_id of a thread": lambda value: requests.create_thread("a", business_id=value),
    "business_id of the listing of threads": lambda value: requests.list_threads(business_id=value),
}


@pytest.mark.parametrize(
    ("run_id", "segment"),
    [
        ("0b4c4a6e-7f0e-4a4e-9d57-0f5f2a1c2b3d", "0b4c4a6e-7f0e-4a4e-9d57-0f5f2a1c2b3d"),
        ("a/b", "a%2Fb"),
        ("../agents", "..%2Fagents"),
        ("a?include=steps", "a%3Finclude%3Dsteps"),
        ("a#b", "a%23b"),
        ("50%", "50%25"),
        ("a%2Fb", "a%252Fb"),
        ("%2e%2e", "%252e%252e"),
        ("a b+c", "a%20b%2Bc"),
        ("lauf-äß-運行", "lauf-%C3%A4%C3%9F-%E9%81%8B%E8%A1%8C"),
        ("...", "..."),
    ],
)
def test_an_id_is_one_segment_of_the_path_on_the_wire(caller: Caller, run_id: str, segment: str) -> None:
    with ScriptedServer([answer(RUN), answer(RUN)]) as server:
        caller.send(settings(server.url), requests.get_run(run_id), requests.resume_run(run_id, "i", "yes"))
        assert [r.target for r in server.requests] == [f"/v1/runs/{segment}", f"/v1/runs/{segment}/resume"]


@pytest.mark.parametrize("value", NO_IDS.values(), ids=NO_IDS)
@pytest.mark.parametrize("build", BY_ID.values(), ids=BY_ID)
def test_what_is_no_id_is_refused_before_anything_is_sent(build: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(AgentRunsValueError, match=r"^(run|thread)_id "):
        build(value)


@pytest.mark.parametrize("value", NONSENSE.values(), ids=NONSENSE)
@pytest.mark.parametrize("build", IN_BODY.values(), ids=IN_BODY)
def test_nonsense_is_refused_as_a_required_field_of_a_body(build: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(AgentRunsValueError, match=r"^(agent|interrupt_id|artifact_id) "):
        build(value)


@pytest.mark.parametrize("value", ["None", "  ", "{{ params.id }}", 5])
@pytest.mark.parametrize("build", CONTEXTS.values(), ids=CONTEXTS)
def test_nonsense_is_refused_as_a_context(build: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(AgentRunsValueError, match=r"^(business_id|context_type|context_id|thread_id) "):
        build(value)


def test_a_refused_id_names_the_cause_that_is_likely_in_a_dag() -> None:
    with pytest.raises(AgentRunsValueError, match="XCom, check that the task ran"):
        requests.get_run("None")
    with pytest.raises(AgentRunsValueError, match="not rendered"):
        requests.get_run("{{ run_id }}")


def test_a_refused_id_of_any_length_makes_a_short_message() -> None:
    with pytest.raises(AgentRunsValueError) as caught:
        requests.get_run("{{ " + "x" * 10_000)
    assert len(str(caught.value)) < 400


def test_the_longest_id_that_is_taken_has_200_characters() -> None:
    assert requests.get_run("x" * 200).path == "/v1/runs/" + "x" * 200
    with pytest.raises(AgentRunsValueError, match="201 characters"):
        requests.get_run("x" * 201)


def test_a_base_url_with_a_path_keeps_it(caller: Caller) -> None:
    with ScriptedServer([answer(RUN)]) as server:
        caller.send(settings(f"{server.url}/gateway/v1/"), requests.get_run("a/b"))
        assert server.requests[0].target == "/gateway/v1/runs/a%2Fb"
