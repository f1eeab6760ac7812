# SPDX-License-Identifier: Apache-2.0
"""Of which runs a watcher has to tell, and what it has to remember for that."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from airflow_provider_agentruns.events.cursor import GONE, OVERLAP, Cursor, Seen

ALL = ("completed", "interrupted", "error")
NOW = 1_800_000_000.0


def seen(
    status: str, run_id: str = "r-1", *asked: str, created: float | None = NOW + 5, agent: str | None = "a"
) -> Seen:
    """Return a run as it was seen; created after the cursor has begun."""
    return Seen(run_id, status, agent, created, asked)


def begun(statuses: tuple[str, ...] = ALL, agent: str | None = None, *there: Seen) -> Cursor:
    """Return a cursor that knows what was there when it began."""
    cursor = Cursor(statuses, agent)
    cursor.begin(NOW)
    for run in there:
        assert not cursor.is_news(run)
        cursor.note(run)
    assert cursor.passed(int(NOW - OVERLAP))
    return cursor


def told(cursor: Cursor, *runs: Seen) -> list[str]:
    """Return the statuses that are told of, in the order in which they are seen."""
    statuses = []
    for run in runs:
        if cursor.is_news(run):
            statuses.append(run.status)
        cursor.note(run)
    return statuses


def again(cursor: Cursor, statuses: tuple[str, ...] = ALL) -> Cursor:
    """Return what another one makes of what was kept."""
    other = Cursor(statuses)
    other.read(json.loads(json.dumps(cursor.to_json())))
    return other


@pytest.mark.parametrize(
    ("statuses", "looks", "expected"),
    [
        (ALL, ["running", "completed"], ["completed"]),
        (ALL, ["completed"], ["completed"]),
        (ALL, ["completed", "completed"], ["completed"]),
        (ALL, ["running", "running", "error", "error"], ["error"]),
        (ALL, ["interrupted", "running", "completed"], ["interrupted", "completed"]),
        (ALL, ["interrupted", "running", "interrupted"], ["interrupted", "interrupted"]),
        (ALL, ["interrupted", "interrupted"], ["interrupted"]),
        (("completed",), ["interrupted", "running", "error"], []),
        (("completed",), ["interrupted", "completed"], ["completed"]),
        (("interrupted",), ["running", "completed"], []),
        (("error", "completed"), ["interrupted", "pondering", "error"], ["error"]),
        # What has ended is over, whatever an older look shows that comes late.
        (ALL, ["completed", "running", "completed"], ["completed"]),
        (ALL, ["completed", "interrupted"], ["completed"]),
    ],
)
def test_each_status_that_is_newly_reached_is_told_once(
    statuses: tuple[str, ...], looks: list[str], expected: list[str]
) -> None:
    asked = {"interrupted": ("i-1",)}
    runs = [seen(status, "r-1", *asked.get(status, ())) for status in looks]
    assert told(begun(statuses), *runs) == expected
    # The same, if there is a restart after each look.
    cursor, statuses_told = begun(statuses), []
    for run in runs:
        statuses_told += told(cursor, run)
        cursor = again(cursor, statuses)
    assert statuses_told == expected


@pytest.mark.parametrize(
    ("rounds", "count"),
    [
        ([("i-1",), ("i-2",)], 2),
        ([("i-1",), ("i-1", "i-2")], 2),
        ([("i-1", "i-2"), ("i-2",)], 1),
        ([("i-1", "i-2"), ("i-2", "i-1")], 1),
        ([("i-1", "i-2"), ("i-2",), ("i-1",)], 1),
        ([("i-1",), ("i-2",), ("i-3",)], 3),
        # They show a moment later.
        ([(), ("i-1",)], 1),
        ([("i-1",), ()], 1),
        ([("i-1",), (), ("i-1",)], 1),
        ([("i-1",), (), ("i-2",)], 2),
    ],
)
def test_a_run_that_asks_something_else_is_told_of_again(rounds: list[tuple[str, ...]], count: int) -> None:
    runs = [seen("interrupted", "r-1", *asked) for asked in rounds]
    assert told(begun(), *runs) == ["interrupted"] * count
    cursor, many = begun(), 0
    for run in runs:
        many += len(told(cursor, run))
        cursor = again(cursor)
    assert many == count


def test_a_run_may_ask_many_times() -> None:
    cursor = begun()
    for number in range(200):
        assert told(cursor, seen("interrupted", "r-1", f"i-{number}")) == ["interrupted"]
    assert len(json.dumps(cursor.to_json())) < 600
    assert told(again(cursor), seen("interrupted", "r-1", "i-199", "i-198")) == []


@pytest.mark.parametrize("status", ALL)
def test_what_was_there_is_no_news(status: str) -> None:
    there = [seen(status, "old", created=NOW - 9000), seen(status, "young", created=NOW - 1)]
    cursor = begun(ALL, None, *there)
    assert told(cursor, *there) == []
    assert told(again(cursor), *there) == []


@pytest.mark.parametrize("age", [1, OVERLAP - 1, OVERLAP + 1, 1e6])
def test_what_becomes_of_what_was_there_is_news(age: float) -> None:
    created = NOW - age
    cursor = begun(ALL, None, seen("running", created=created))
    assert told(again(cursor), seen("completed", created=created)) == ["completed"]
    assert told(cursor, seen("completed", created=created), seen("completed", created=created)) == ["completed"]


def test_what_changes_while_it_gets_to_know_what_there_is_has_to_wait() -> None:
    cursor = Cursor(ALL)
    assert not cursor.has_to_wait(seen("completed"))
    cursor.begin(NOW)
    assert not cursor.complete
    assert cursor.has_to_wait(seen("completed"))
    assert cursor.has_to_wait(seen("running"))
    old = seen("running", "r-2", created=NOW - 7)
    assert not cursor.has_to_wait(old)
    cursor.note(old)
    assert cursor.has_to_wait(seen("completed", "r-2", created=NOW - 7))
    cursor.passed(0)
    assert cursor.complete
    assert not cursor.has_to_wait(seen("completed"))


def test_what_the_listing_shows_late_is_told_of_within_the_overlap() -> None:
    cursor = begun()
    assert told(cursor, seen("completed", "r-1", created=NOW - OVERLAP + 1)) == ["completed"]
    assert told(cursor, seen("completed", "r-2", created=NOW - OVERLAP - 1)) == []
    assert told(cursor, seen("running", "r-3", created=NOW - OVERLAP - 1), seen("error", "r-3")) == ["error"]


def test_what_is_settled_is_forgotten_when_the_horizon_moves() -> None:
    cursor = begun()
    runs = [seen("completed", f"r-{number}", created=NOW + number) for number in range(100)]
    assert len(told(cursor, *runs)) == 99 + 1
    assert not cursor.passed(int(NOW) + 49)
    assert len(cursor.to_json()["ended"]) == 50
    assert told(cursor, *runs) == told(again(cursor), *runs) == []
    # It never moves back.
    cursor.passed(int(NOW) - 1000)
    assert told(cursor, *runs) == []
    cursor.passed(int(NOW) + 100)
    assert cursor.to_json()["ended"] == {}
    assert told(cursor, *runs) == []


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.5, 0.999])
def test_nothing_at_the_edge_is_told_of_twice(fraction: float) -> None:
    cursor = begun()
    run = seen("completed", created=NOW + 10 + fraction)
    assert told(cursor, run) == ["completed"]
    for horizon in (9, 10, 11, 12):
        cursor.passed(int(NOW) + horizon)
        assert told(cursor, run) == told(again(cursor), run) == []


def test_open_runs_stay_however_old() -> None:
    cursor = begun()
    told(cursor, seen("interrupted", "r-1", "i-1"), seen("running", "r-2"))
    cursor.passed(int(NOW) + 10**7)
    assert dict(cursor.open_runs) == {"r-1": NOW + 5, "r-2": NOW + 5}
    other = again(cursor)
    assert told(other, seen("interrupted", "r-1", "i-1"), seen("error", "r-2"), seen("completed")) == [
        "error",
        "completed",
    ]
    assert dict(other.open_runs) == {}
    assert other.to_json()["ended"] == {}


def test_only_the_runs_of_one_agent() -> None:
    cursor = begun(ALL, "mine")
    runs = [seen("completed", "1", agent="mine"), seen("error", "2", agent="other"), seen("error", "3", agent=None)]
    assert told(cursor, *runs) == ["completed"]
    told(cursor, seen("running", "4", agent="mine"), seen("running", "5", agent="other"))
    assert [run_id for run_id, _ in cursor.open_runs] == ["4"]


def test_a_run_that_is_gone_is_forgotten_and_no_news() -> None:
    cursor = begun((*ALL,), "mine")
    told(cursor, seen("interrupted", "r-1", "i-1", agent="mine"))
    gone = Seen("r-1", GONE, created=NOW + 5)
    assert told(cursor, gone, gone, Seen("r-2", GONE, created=NOW + 5)) == []
    assert dict(cursor.open_runs) == {}
    assert len(cursor.to_json()["ended"]) == 1
    assert told(cursor, seen("completed", agent="mine")) == []


def test_a_run_without_a_moment_of_creation_cannot_be_told_of() -> None:
    cursor = begun()
    assert told(cursor, seen("running", created=None), seen("completed", created=None)) == []
    assert dict(cursor.open_runs) == {}


def test_nothing_is_news_before_it_has_begun() -> None:
    cursor = Cursor(ALL)
    assert told(cursor, seen("completed"), seen("running", "r-2")) == []
    assert (dict(cursor.open_runs), cursor.complete, cursor.revision) == ({}, False, 0)


def test_it_tells_whether_it_has_changed() -> None:
    cursor = begun()
    revisions = [cursor.revision]
    for run in (
        seen("running"),
        seen("running"),
        seen("interrupted", "r-1", "i"),
        seen("completed"),
        seen("completed"),
    ):
        cursor.note(run)
        revisions.append(cursor.revision)
    changed = [after > before for before, after in itertools.pairwise(revisions)]
    assert changed == [True, False, True, True, False]
    cursor.passed(int(NOW - OVERLAP))
    assert cursor.revision == revisions[-1]
    cursor.passed(int(NOW))
    assert cursor.revision > revisions[-1]


def test_it_is_small() -> None:
    cursor = begun()
    uuid = "3f6d2a54-8f0e-4c53-9a3b-{:012x}"
    for number in range(1000):
        cursor.note(seen("completed", uuid.format(number)))
        cursor.note(seen("interrupted", uuid.format(10_000 + number), "int_0123456789abcdef0123"))
    kept = cursor.to_json()
    assert len(json.dumps(kept["ended"])) < 25 * 1000
    assert len(json.dumps(kept["open"])) < 90 * 1000
    assert json.loads(json.dumps(kept)) == kept


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "text",
        [],
        {},
        {"version": 2},
        {"version": 1},
        {"version": 1, "horizon": None, "open": {}, "ended": {}},
        {"version": 1, "horizon": True, "open": {}, "ended": {}},
        {"version": 1, "horizon": 1.5, "open": {}, "ended": {}},
        {"version": 1, "horizon": 1, "open": [], "ended": {}},
        {"version": 1, "horizon": 1, "open": {}, "ended": []},
        {"version": 1, "horizon": 1, "open": {}, "ended": {"x": "y"}},
        {"version": 1, "horizon": 1, "open": {"r-1": "running"}, "ended": {}},
        {"version": 1, "horizon": 1, "open": {"r-1": ["running"]}, "ended": {}},
        {"version": 1, "horizon": 1, "open": {"r-1": ["running", "1"]}, "ended": {}},
        {"version": 1, "horizon": 1, "open": {"r-1": ["running", 1, 2]}, "ended": {}},
        {"version": 1, "horizon": 1, "open": {"r-1": ["running", 1, "", 4]}, "ended": {}},
    ],
)
def test_what_it_has_not_written_is_refused_and_changes_nothing(stored: Any) -> None:
    cursor = Cursor(ALL)
    with pytest.raises(ValueError, match=r"of it|in it|this version"):
        cursor.read(stored)
    assert (cursor.horizon, dict(cursor.open_runs), cursor.complete) == (None, {}, False)


def test_other_fields_beside_it_are_let_be() -> None:
    cursor = begun()
    told(cursor, seen("running"))
    other = Cursor(ALL)
    other.read({**cursor.to_json(), "kept": 1})
    assert other.to_json() == cursor.to_json()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15T08:00:00.000000Z", NOW),
        ("2027-01-15T10:00:00+02:00", NOW),
        ("2027-01-15T08:00:00", NOW),
        ("2027-01-15", NOW - 8 * 3600),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_a_run_is_read_out_of_what_the_service_sends(text: str | None, moment: float | None) -> None:
    run = Seen.of({"id": "r-1", "status": "interrupted", "created_at": text, "interrupts": [{"id": "i-1"}]})
    assert run == Seen("r-1", "interrupted", None, moment, ("i-1",))
    assert Seen.of({"id": "", "status": "completed", "interrupts": None, "agent": "a"}, "r-2") == Seen(
        "r-2", "completed", "a"
    )
