# SPDX-License-Identifier: Apache-2.0
"""What a watch reads of a run: little, and as much of it as can be read."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import AgentRunsAPIError
from tests.client.calling import Caller, settings
from tests.support.scripted_server import Reply, ScriptedServer, answer, html, sent

RUN = {
    "id": "r-1",
    "status": "interrupted",
    "agent": "a",
    "created_at": "2026-01-31T12:00:00Z",
    "interrupts": [{"id": "i-1", "value": {"label": "Jane Doe?"}}, {"id": "i-2"}],
    "output": None,
    "requester": {"name": "Jane Doe"},
}
LEAN = {
    "id": "r-1",
    "status": "interrupted",
    "agent": "a",
    "created_at": "2026-01-31T12:00:00Z",
    "interrupts": [{"id": "i-1"}, {"id": "i-2"}],
    "output": None,
}


def state(caller: Caller, reply: Reply) -> Any:
    """Return what a watch reads of one run."""
    with ScriptedServer([reply]) as server:
        [found] = caller.send(settings(server.url, max_retries=0), requests.get_run_state("r-1"))
        assert server.requests[0].path == "/v1/runs/r-1"
    return found


def page(caller: Caller, value: Any, **headers: str) -> Any:
    """Return what a watch reads of a page."""
    with ScriptedServer([answer(value, **headers)]) as server:
        [found] = caller.send(settings(server.url, max_retries=0), requests.list_run_states(page=2, page_size=7))
        assert server.requests[0].query == {"page": "2", "per_page": "7"}
    return found


def test_of_a_run_only_what_tells_one_state_from_another_is_read(caller: Caller) -> None:
    assert state(caller, answer(RUN)) == LEAN
    assert state(caller, answer({**RUN, "status": "completed", "output": {"artifacts": ["x"]}}))["output"] == {}


@pytest.mark.parametrize("odd", [{"agent": {"type": "a"}}, {"created_at": 5}, {"interrupts": "odd"}, {"id": None}])
def test_an_invalid_part_hides_the_status_of_no_run(caller: Caller, odd: dict[str, Any]) -> None:
    assert state(caller, answer({**RUN, **odd}))["status"] == "interrupted"
    assert page(caller, {"data": [{**RUN, **odd}]}).left_out == 1


def test_half_a_surrogate_pair_in_what_is_skipped_does_no_harm(caller: Caller) -> None:
    body = rb'{"id": "r-1", "status": "completed", "output": {"artifacts": [{"title": "\ud83d"}]}}'
    assert state(caller, sent(body, "application/json")) == {"id": "r-1", "status": "completed", "output": {}}


@pytest.mark.parametrize("reply", [html(), answer([]), answer({"id": "r-1"}), answer({"id": "r-1", "status": 5})])
def test_what_is_no_run_is_an_error(caller: Caller, reply: Reply) -> None:
    with pytest.raises(AgentRunsAPIError, match="the response"):
        state(caller, reply)


def test_entries_of_a_page_that_cannot_be_read_are_counted(caller: Caller) -> None:
    entries = [RUN, "odd", {"id": 5, "status": "running"}, {**RUN, "id": "r-2", "status": None}, {**RUN, "id": "r-3"}]
    found = page(caller, {"has_more": True, "total_count": 12, "data": entries})
    assert [listed["id"] for listed in found.data] == ["r-1", "r-3"]
    assert (found.left_out, found.has_more, found.total_count) == (3, True, 12)
    assert page(caller, {"data": [RUN]}).left_out == 0


def test_a_page_says_when_it_was_sent(caller: Caller) -> None:
    assert page(caller, {"data": []}, Date="Sat, 31 Jan 2026 12:00:00 GMT").served_at == 1_769_860_800.0
    assert page(caller, {"data": None}).served_at is None


@pytest.mark.parametrize("value", [{"data": 5}, {"data": {"id": "r-1"}}, {"data": "odd"}, [], 5, None])
def test_what_is_no_page_is_an_error(caller: Caller, value: Any) -> None:
    with pytest.raises(AgentRunsAPIError, match="the response cannot be read"):
        page(caller, value)
