# SPDX-License-Identifier: Apache-2.0
"""Which runs newly reached a status, and what a cursor keeps of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_agentruns.events import run_tracker
from airflow_provider_agentruns.events.run_tracker import MAX_LISTING_LAG, RunSnapshot, RunTracker

NOW = 1_800_000_000.0


def run(run_id: str, status: str = "running", *interrupts: str, age: float = 0.0) -> RunSnapshot:
    return RunSnapshot(run_id, status, "a", NOW - age, interrupts)


@pytest.fixture
def tracker() -> RunTracker:
    tracker = RunTracker(saved_at=0.0)
    tracker.record([run("finished", "completed", age=10)])
    tracker.advance(NOW)
    return tracker


def test_an_interrupted_run_is_new_again_with_other_interrupts(tracker: RunTracker) -> None:
    tracker.record([run("r-1", "interrupted", "i-1", "i-2")])
    tracker.record([run("r-2", "interrupted")])
    # One was answered.
    assert not tracker.has_changed(run("r-1", "interrupted", "i-2"))
    assert tracker.has_changed(run("r-1", "interrupted", "i-3"))
    # A listing that omits the interrupts, or starts to show them.
    assert not tracker.has_changed(run("r-1", "interrupted"))
    assert not tracker.has_changed(run("r-2", "interrupted", "i-1"))


def test_the_cursor_is_bounded(tracker: RunTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1000):
        tracker.record([run(f"r-{number}", "completed")])
        tracker.record([run("asks", "interrupted", f"i-{number}")])
    tracker.advance(NOW + 2 * MAX_LISTING_LAG)
    assert len(json.dumps(tracker.model_dump(mode="json"))) < 1000
    monkeypatch.setattr(run_tracker, "MAX_UNFINISHED", 3)
    for number in range(5):
        tracker.record([run(f"open-{number}", age=number)])
    tracker.advance(NOW + 3 * MAX_LISTING_LAG)
    assert set(tracker.unfinished) == {"asks", "open-0", "open-1"}


def test_an_unknown_status_and_many_interrupts_are_cut(tracker: RunTracker) -> None:
    interrupts = [{"id": str(number)} for number in range(1000)]
    listed: Any = {"id": "r-1", "status": "x" * 10_000, "created_at": "2030-01-01T00:00:00Z", "interrupts": interrupts}
    seen = RunSnapshot.from_listed(listed)
    assert seen is not None
    tracker.record([seen])
    assert not tracker.has_changed(seen)
    assert len(json.dumps(tracker.model_dump(mode="json"))) < 1500
