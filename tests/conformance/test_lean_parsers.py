# SPDX-License-Identifier: Apache-2.0
"""The parsers that read only parts of runs agree with the models, whatever the service sends."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.responses import Response
from airflow_provider_agentruns.models import AgentRun, RunPage
from tests.conformance import strategies
from tests.conformance.effort import tries

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
    """Compare the fields that a wait reads with the whole run."""
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
