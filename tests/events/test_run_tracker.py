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
    """Return a run that was created some seconds ago."""
    return RunSnapshot(run_id, status, "a", NOW - age, interrupts)


@pytest.fixture
def tracker() -> RunTracker:
    """Return a tracker that starts now."""
    tracker = RunTracker()
    tracker.start()
    tracker.record(run("finished", "completed", age=10))
    tracker.advance(NOW)
    return tracker


def again(tracker: RunTracker) -> RunTracker:
    """Return a tracker that continues from the cursor of another."""
    other = RunTracker()
    other.load(json.loads(json.dumps(tracker.to_json())))
    assert other.to_json() == tracker.to_json()
    return other


def test_each_status_is_new_once(tracker: RunTracker) -> None:
    for status, interrupts in [("running", ()), ("interrupted", ("i-1",)), ("running", ()), ("completed", ())]:
        seen = run("r-1", status, *interrupts)
        assert tracker.has_changed(seen)
        tracker.record(seen)
        tracker = again(tracker)
        assert not tracker.has_changed(seen)
    # A replica that lags behind still shows the status before.
    assert not tracker.has_changed(run("r-1", "running"))


def test_runs_from_before_the_start_are_not_new(tracker: RunTracker) -> None:
    assert not tracker.has_changed(run("finished", "completed", age=10))
    assert not tracker.has_changed(run("old", "completed", age=MAX_LISTING_LAG + 1))
    assert tracker.has_changed(run("listed late", "completed", age=MAX_LISTING_LAG - 1))


def test_an_interrupted_run_is_new_again_with_other_interrupts(tracker: RunTracker) -> None:
    tracker.record(run("r-1", "interrupted", "i-1", "i-2"))
    tracker = again(tracker)
    # One was answered.
    assert not tracker.has_changed(run("r-1", "interrupted", "i-2"))
    assert tracker.has_changed(run("r-1", "interrupted", "i-3"))
    # A listing that omits the interrupts.
    assert not tracker.has_changed(run("r-1", "interrupted"))


def test_a_listing_that_starts_to_show_interrupts_is_no_change(tracker: RunTracker) -> None:
    tracker.record(run("r-1", "interrupted"))
    assert not tracker.has_changed(run("r-1", "interrupted", "i-1"))


def test_an_unfinished_run_is_followed_however_old_it_is(tracker: RunTracker) -> None:
    tracker.record(run("r-1", "interrupted", "i-1", age=1e6))
    tracker.advance(NOW + 1e6)
    tracker = again(tracker)
    assert tracker.has_changed(run("r-1", "completed", age=1e6))
    tracker.record(run("r-1", "completed", age=1e6))
    assert list(tracker.unfinished) == []
    assert not tracker.has_changed(run("r-1", "completed", age=1e6))


def test_the_cursor_is_bounded(tracker: RunTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1000):
        tracker.record(run(f"r-{number}", "completed"))
        tracker.record(run("asks", "interrupted", f"i-{number}"))
    tracker.advance(NOW + 2 * MAX_LISTING_LAG)
    assert len(json.dumps(tracker.to_json())) < 1000
    monkeypatch.setattr(run_tracker, "MAX_UNFINISHED", 3)
    for number in range(5):
        tracker.record(run(f"open-{number}", age=number))
    assert tracker.advance(NOW + 3 * MAX_LISTING_LAG) == 3
    assert set(tracker.unfinished) == {"asks", "open-0", "open-1"}


def test_the_horizon_does_not_move_back(tracker: RunTracker) -> None:
    before = tracker.horizon
    tracker.advance(NOW - 1e5)
    assert tracker.horizon == before


@pytest.mark.parametrize(
    "cursor",
    [
        [],
        "text",
        {},
        {"version": 2, "horizon": 0, "open": {}, "ended": {}},
        {"version": 1, "horizon": None, "open": {}, "ended": {}},
        {"version": 1, "horizon": 0, "open": [], "ended": {}},
        {"version": 1, "horizon": 0, "open": {"r-1": 5}, "ended": {}},
        {"version": 1, "horizon": 0, "open": {"r-1": ["running", "x"]}, "ended": {}},
        {"version": 1, "horizon": 0, "open": {}, "ended": {"r-1": None}},
    ],
)
def test_a_cursor_that_cannot_be_read_changes_nothing(tracker: RunTracker, cursor: Any) -> None:
    before = tracker.to_json()
    with pytest.raises(ValueError, match=r"."):
        tracker.load(cursor)
    assert tracker.to_json() == before


@pytest.mark.parametrize(
    "listed",
    [
        {"id": "x" * 256, "status": "completed"},
        {"id": "two\nlines", "status": "completed"},
        {"id": "\x1b[31m", "status": "completed"},
        {"id": "r-1", "status": "completed", "agent": "x" * 256},
        {"id": "r-1", "status": "completed", "agent": "nul\x00"},
    ],
)
def test_what_can_be_no_run_gets_no_event(listed: Any) -> None:
    assert RunSnapshot.from_listed(listed) is None


def test_an_unknown_status_is_cut_and_counts_as_unfinished(tracker: RunTracker) -> None:
    created = "2030-01-01T00:00:00Z"
    seen = RunSnapshot.from_listed({"id": "r-1", "status": "x" * 10_000, "created_at": created})
    assert seen is not None
    tracker.record(seen)
    assert not tracker.has_changed(seen)
    assert len(json.dumps(tracker.to_json())) < 1000
    assert tracker.has_changed(RunSnapshot("r-1", "completed"))


@pytest.mark.parametrize("created", [None, "", "odd", "9999-12-31T23:59:59-23:59"])
def test_a_run_without_a_creation_time_is_not_new(tracker: RunTracker, created: Any) -> None:
    seen = RunSnapshot.from_listed({"id": "r-1", "status": "completed", "created_at": created})
    assert seen is not None
    assert seen.created is None or created.startswith("9999")
    if seen.created is None:
        assert not tracker.has_changed(seen)
