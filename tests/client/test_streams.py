# SPDX-License-Identifier: Apache-2.0
"""Streams of events: read until the service ends them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import AgentRunNotFoundError, AgentRunsAPIError, AgentRunsConnectionError
from airflow_provider_agentruns.models import RunEvent
from tests.client.calling import TOKEN, Caller, settings
from tests.support.scripted_server import LOST, Reply, ScriptedServer, errors, events, html

STREAM = requests.stream_run("r/1")


def event(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}"


STARTED = event("RUN_STARTED", run_id="r/1")
SNAPSHOT = event("STATE_SNAPSHOT", run_id="r/1", snapshot={"steps": [{"id": "s"}]}, later="kept")
FINISHED = event("RUN_FINISHED", run_id="r/1")


def test_events_in_their_order(caller: Caller) -> None:
    seen: list[RunEvent] = []
    # The type of an event may be in its header only.
    other = 'event: NEW_KIND\ndata: {"snapshot":\ndata: [1]}'
    with ScriptedServer([events(STARTED, ": still there", SNAPSHOT, other, FINISHED)]) as server:
        caller.stream(settings(server.url), STREAM, seen)
    assert [event.type for event in seen] == ["RUN_STARTED", "STATE_SNAPSHOT", "NEW_KIND", "RUN_FINISHED"]
    assert seen[1].run_id == "r/1"
    assert seen[1].snapshot == {"steps": [{"id": "s"}]}
    assert seen[1].model_dump()["later"] == "kept"
    assert seen[2].snapshot == [1]
    [asked] = server.requests
    assert asked.target == "/v1/runs/r%2F1/stream"
    assert asked.headers["accept"] == "text/event-stream"
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"


def test_a_broken_connection_is_an_error_and_not_an_end(caller: Caller) -> None:
    seen: list[RunEvent] = []
    with ScriptedServer([events(STARTED, cut=True)]) as server, pytest.raises(AgentRunsConnectionError) as caught:
        caller.stream(settings(server.url), STREAM, seen)
    assert "gave no usable response" in str(caught.value)
    assert [event.type for event in seen] == ["RUN_STARTED"]
    assert not caught.value.in_doubt


@pytest.mark.parametrize("malformed", ["data: {", "data: 5", 'data: {"type": 5}'])
def test_an_invalid_event_is_an_error_after_valid_ones(caller: Caller, malformed: str) -> None:
    seen: list[RunEvent] = []
    script = [events(STARTED, malformed, FINISHED)]
    with ScriptedServer(script) as server, pytest.raises(AgentRunsAPIError, match="event of the stream cannot be read"):
        caller.stream(settings(server.url), STREAM, seen)
    assert [event.type for event in seen] == ["RUN_STARTED"]


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (html(), AgentRunsAPIError, "text/html instead of a stream of events"),
        (errors(404, "no such run"), AgentRunNotFoundError, "404: no such run. Check the ID"),
        (LOST, AgentRunsConnectionError, "gave no usable response"),
    ],
)
def test_a_response_that_is_not_a_stream(caller: Caller, reply: Reply, kind: type[Exception], said: str) -> None:
    with ScriptedServer([reply]) as server, pytest.raises(kind) as caught:
        caller.stream(settings(server.url), STREAM, [])
    assert type(caught.value) is kind
    assert said in str(caught.value)
    assert len(server.requests) == 1
