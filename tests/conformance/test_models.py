# SPDX-License-Identifier: Apache-2.0
"""
The models keep everything that the contract allows, and the parsers that read only parts of runs agree with them.

Only the spelling of an instant may change. It stays the same instant, to the microsecond.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from airflow_provider_agentruns import models
from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.responses import Response
from airflow_provider_agentruns.models import AgentRun, RunPage
from tests.conformance import strategies
from tests.conformance.effort import tries

KINDS: dict[str, type[BaseModel]] = {
    "Run": AgentRun,
    "RunList": RunPage,
    "Requester": models.Requester,
    "Output": models.Output,
    "Artifact": models.Artifact,
    "Source": models.Source,
    "Interrupt": models.Interrupt,
    "Step": models.Step,
    "Feedback": models.Feedback,
    "Thread": models.Thread,
    "Agent": models.Agent,
}

INSTANTS = {"created_at", "updated_at", "started_at", "ended_at", "completed_at"}


def canonical(value: Any) -> str:
    """Return a JSON value in a form in which equal values are equal texts. 1 is neither 1.0 nor true."""
    return json.dumps(_with_instants(value), sort_keys=True)


def without_empty(dumped: Any, sent: Any) -> Any:
    """Remove fields that were not sent and that the model adds with empty values."""
    if isinstance(dumped, list) and isinstance(sent, list) and len(dumped) == len(sent):
        return [without_empty(one, other) for one, other in zip(dumped, sent, strict=True)]
    if not (isinstance(dumped, dict) and isinstance(sent, dict)):
        return dumped
    return {
        key: without_empty(value, sent.get(key))
        for key, value in dumped.items()
        if key in sent or not (value is None or value == [] or value is False)
    }


def _with_instants(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_instants(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: strategies.instant(each).isoformat() if key in INSTANTS and isinstance(each, str) else _with_instants(each)
        for key, each in value.items()
    }


@pytest.mark.parametrize("name", KINDS)
def test_a_model_keeps_every_field_and_value(name: str) -> None:
    kind = KINDS[name]

    @tries(20, 2000)
    @given(strategies.of(name))
    def each(document: Any) -> None:
        read = kind.model_validate(document)
        assert canonical(read.model_dump(mode="json", exclude_unset=True)) == canonical(document)
        assert canonical(json.loads(read.model_dump_json(exclude_unset=True))) == canonical(document)
        whole = read.model_dump(mode="json")
        assert canonical(without_empty(whole, document)) == canonical(document)
        assert canonical(kind.model_validate(whole).model_dump(mode="json")) == canonical(whole)

    each()


#: Pages with a run on them that asks something.
PAGES = st.tuples(strategies.RUN_LISTS, strategies.INTERRUPTED).map(
    lambda both: {**both[0], "data": [both[1], *both[0].get("data", ())]}
)

DATE = {"date": "Sat, 31 Jan 2026 12:00:00 GMT"}


def parse(request: Request[Any], body: bytes) -> Any:
    try:
        return request.parse(Response(200, DATE, body))
    except (ValidationError, ValueError):
        return None


def check_listed(lean: dict[str, Any], whole: AgentRun) -> None:
    assert lean["id"] == whole.id
    assert lean["status"] == whole.status
    assert lean.get("agent") == whole.agent
    assert [asked["id"] for asked in lean.get("interrupts") or ()] == [asked.id for asked in whole.interrupts]
    created = lean.get("created_at")
    assert (created and strategies.instant(created)) == whole.created_at


@tries(30, 5000)
@given(strategies.RUN_LISTS)
def test_a_page_is_read_alike(document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    lean, whole = parse(requests.list_run_states(), body), parse(requests.list_runs(), body)
    assert lean.has_more is whole.has_more is document["has_more"]
    assert lean.total_count == whole.total_count == document.get("total_count")
    assert lean.left_out == 0
    assert len(lean.data) == len(whole.data) == len(document.get("data", ()))
    for one, other in zip(lean.data, whole.data, strict=True):
        check_listed(one, other)


@tries(40, 5000)
@given(strategies.sloppy(PAGES))
def test_no_run_is_lost_from_a_page_off_the_contract(document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    lean = parse(requests.list_run_states(), body)
    entries = document.get("data") or ()
    whole: RunPage | None = parse(requests.list_runs(), body)
    if whole is not None:
        assert lean is not None
        assert (lean.has_more, lean.left_out) == (whole.has_more, 0)
    if lean is None:
        return
    assert len(lean.data) + lean.left_out == len(entries)
    readable = [entry for entry in entries if parse(requests.get_run("r"), json.dumps(entry).encode())]
    assert {entry["id"] for entry in readable} <= {listed["id"] for listed in lean.data}
