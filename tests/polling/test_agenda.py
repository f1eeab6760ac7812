# SPDX-License-Identifier: Apache-2.0
"""The agenda tells whose turn is first, whatever has been put in before."""

from __future__ import annotations

import math

import pytest

from airflow_provider_agentruns.polling.agenda import Agenda
from airflow_provider_agentruns.polling.followed import Followed, Waiter
from tests.polling.fake_service import seeded


def followed(run_id: str = "r-1", due: float = 0.0) -> Followed:
    """Return a run that someone waits for."""
    run = Followed(run_id, 0.0)
    run.add(Waiter(frozenset(), 5.0, lambda verdict: None, joined=0.0, tell=lambda *args, **fields: None))
    run.due = due
    return run


@pytest.fixture
def agenda() -> Agenda:
    """Return an empty agenda that goes by when runs are due."""
    return Agenda(lambda run: run.due)


def test_nothing_is_first_in_an_empty_one(agenda: Agenda) -> None:
    assert agenda.first() is None
    assert agenda.next_moment() == math.inf


def test_runs_come_by_their_moment(agenda: Agenda) -> None:
    runs = [followed(f"r-{number}", seeded(number).random()) for number in range(50)]
    for run in runs:
        agenda.put(run)
    taken = []
    while (first := agenda.first()) is not None:
        assert agenda.next_moment() == first.due
        taken.append(first)
        agenda.pop()
    assert taken == sorted(runs, key=lambda run: run.due)


def test_those_of_the_same_moment_come_in_the_order_in_which_they_were_put_in(agenda: Agenda) -> None:
    runs = [followed(f"r-{number}", 1.0) for number in range(5)]
    for run in runs:
        agenda.put(run)
    for run in runs:
        assert agenda.first() is run
        agenda.pop()


def test_to_look_at_the_first_leaves_it_in(agenda: Agenda) -> None:
    run = followed()
    agenda.put(run)
    assert agenda.first() is agenda.first() is run


@pytest.mark.parametrize("moved_to", [1.0, 9.0])
def test_only_the_moment_that_holds_now_counts(agenda: Agenda, moved_to: float) -> None:
    run, other = followed("r-1", 3.0), followed("r-2", 5.0)
    agenda.put(run)
    agenda.put(other)
    run.due = moved_to
    agenda.put(run)
    in_order = [run, other] if moved_to < 5.0 else [other, run]
    for expected in in_order:
        assert agenda.first() is expected
        agenda.pop()
    # What was put in under the first moment does not come up again.
    assert agenda.first() is None


def test_one_that_is_being_looked_at_is_passed_over_and_has_to_be_put_in_again(agenda: Agenda) -> None:
    run = followed()
    agenda.put(run)
    run.busy = True
    assert agenda.first() is None
    run.busy = False
    assert agenda.first() is None
    agenda.put(run)
    assert agenda.first() is run


def test_one_that_nobody_waits_for_is_passed_over(agenda: Agenda) -> None:
    run, other = followed("r-1", 1.0), followed("r-2", 2.0)
    agenda.put(run)
    agenda.put(other)
    run.remove(run.waiters[0])
    assert agenda.first() is other
