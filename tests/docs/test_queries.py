# SPDX-License-Identifier: Apache-2.0
"""The database queries of the documentation return what they say."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from tests.docs.blocks import blocks
from tests.plugins.instances import Instances
from tests.support.postgres import use_sessions

_numbers = itertools.count(1)


@pytest.fixture
def row(
    postgresql: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[[], dict[str, Any]]:
    """Return a function that runs the query of the page about monitoring on PostgreSQL."""
    use_sessions(postgresql, monkeypatch)
    [collector] = [found for block in blocks("yaml") if "queries" in (found := yaml.safe_load(block.text))]
    [query] = collector["queries"]

    def run() -> dict[str, Any]:
        with postgresql() as session:
            [found] = session.execute(text(query["query"])).mappings()
        assert [metric["values"] for metric in collector["metrics"]] == [[name] for name in found]
        return dict(found)

    return run


def test_the_query_finds_open_forms_and_undelivered_decisions(
    row: Callable[[], dict[str, Any]], instances: Instances
) -> None:
    assert row() == {"oldest_open_form_seconds": 0, "undelivered_decisions": 0}

    def add(state: str, ago: float, operator: str = "AgentRunReviewOperator", **form: Any) -> None:
        asked = {"subject": "Right?", "interrupt_id": "int-1", **form}
        instances.task(f"reviews_{next(_numbers)}", state=state, operator=operator, ago=ago, form=asked)

    add("awaiting_input", 1000)
    add("deferred", 2000)
    add("awaiting_input", 8000, operator="HITLOperator")
    # A form without effect.
    add("failed", 9000)
    add("success", 9000, answered=8000)
    # Not delivered: the task failed, and the DAG is paused. The last decision is new.
    add("failed", 9000, answered=8000)
    add("scheduled", 9000, answered=700)
    add("scheduled", 9000, answered=5)
    found = row()
    assert 2000 <= found["oldest_open_form_seconds"] < 2100
    assert found["undelivered_decisions"] == 2
