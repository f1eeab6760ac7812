# SPDX-License-Identifier: Apache-2.0
"""A round of reviews asks only what is open, although responses of the service can be outdated."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_agentruns.models import AgentRun
from airflow_provider_agentruns.reviews.open_questions import open_questions
from airflow_provider_agentruns.text import digest

BEFORE, AT, LATER = (f"2026-01-31T12:00:0{second}Z" for second in range(3))


def run(*interrupts: tuple[str, str], status: str = "interrupted", at: str | None = AT) -> AgentRun:
    """Return a run that asks these questions, each an ID and a value."""
    asked = [{"id": name, "value": value} for name, value in interrupts]
    return AgentRun.model_validate({"id": "r-1", "status": status, "updated_at": at, "interrupts": asked})


def answered(interrupt_id: str, value: str, at: str | None = AT) -> dict[str, Any]:
    """Return the part of a trail that counts."""
    return {"interrupt_id": interrupt_id, "question": digest(value), "run_updated_at": at}


ONE = [answered("i-1", "Right?")]


@pytest.mark.parametrize(
    ("shown", "trails", "expected"),
    [
        (run(("i-1", "Right?")), [], ["i-1"]),
        (run(status="completed"), ONE, []),
        (run(("i-1", "Right?")), ONE, None),
        (run(("i-1", "Right?"), at=None), ONE, None),
        (run(("i-1", "Right?"), ("i-2", "And this?")), ONE, ["i-2"]),
        (run(("i-1", "a"), ("i-2", "b"), ("i-1", "a")), [], ["i-1", "i-2"]),
        # An agent can use an ID again, and ask the same question again.
        (run(("i-1", "Really?")), ONE, ["i-1"]),
        (run(("i-1", "Right?"), at=LATER), ONE, ["i-1"]),
        # Older than the last answer.
        (run(("i-2", "And this?"), at=BEFORE), ONE, None),
        (run(status="running", at=BEFORE), ONE, None),
        (run(status="completed", at=BEFORE), ONE, []),
        # Responses differ in precision, and trails of an earlier version have no time.
        (run(("i-2", "And this?")), [answered("i-1", "Right?", "2026-01-31T12:00:01.999+00:00")], ["i-2"]),
        (run(("i-1", "Right?"), ("i-2", "And this?")), [{"interrupt_id": "i-1"}], ["i-1", "i-2"]),
        (run(("i-2", "b")), [answered("i-1", "a"), answered("i-2", "b", LATER)], None),
        (run(("i-2", "And this?")), [answered("i-1", "Right?", None)], ["i-2"]),
        # Interrupted before the question appears.
        (run(), [], None),
        (run(), ONE, None),
    ],
)
def test_only_what_is_open_is_asked(shown: AgentRun, trails: list[Any], expected: list[str] | None) -> None:
    found = open_questions(shown, trails)
    assert (found if found is None else [one.id for one in found]) == expected
