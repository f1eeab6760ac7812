# SPDX-License-Identifier: Apache-2.0
"""Single decisions of the plan: what is read next, and what is made of what has come or has not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from airflow_provider_agentruns.models import ListedPage, RunStatus
from airflow_provider_agentruns.polling.followed import Followed, Waiter
from airflow_provider_agentruns.polling.plan import Plan, ReadPage, ReadRun, Step

RUNNING = RunStatus.RUNNING


def waiter(joined: float = 0.0, interval: float = 5.0, end: float | None = None) -> Waiter:
    """Return someone who waits."""
    return Waiter(
        frozenset(),
        interval,
        lambda verdict: None,
        joined=joined,
        end=end,
        tell=lambda level, message, *args, **fields: None,
    )


def join(plan: Plan, count: int, *, joined: float = 0.0, interval: float = 5.0) -> list[Followed]:
    """Have runs waited for."""
    return [plan.join(f"r-{number}", waiter(joined, interval)) for number in range(count)]


def page(*ids: str, has_more: bool = False) -> ListedPage:
    """Return a page on which all runs are running."""
    return ListedPage(data=[{"id": run_id, "status": "running"} for run_id in ids], has_more=has_more)


def came(
    plan: Plan, step: Step | float, ids: Sequence[str], now: float, *, asked: float | None = None, more: bool = False
) -> None:
    """Let a page come, and have its runs seen."""
    assert isinstance(step, ReadPage)
    asked = now if asked is None else asked
    for run, _ in plan.page_came(step, page(*ids, has_more=more), asked, now):
        plan.seen(run, RUNNING, asked, now)


def steps(plan: Plan, now: float, until: float) -> list[tuple[float, Step]]:
    """Let the time pass without anything coming, and return what was to be done and when."""
    taken = []
    while now < until:
        step = plan.next(now)
        if isinstance(step, float):
            assert step > now
            now = step
        else:
            taken.append((now, step))
    return taken


def found(plan: Plan, count: int) -> list[Followed]:
    """Have runs waited for and seen on the first page, at five seconds."""
    runs = join(plan, count)
    step = plan.next(5.0)
    came(plan, step, [run.run_id for run in runs], 5.0)
    return runs


def test_nothing_is_to_be_done_while_nobody_waits() -> None:
    assert steps(Plan(20.0, 0.0), 0.0, 1e9) == []


def test_a_few_are_read_singly_at_once() -> None:
    plan = Plan(20.0, 0.0)
    runs = join(plan, 3)
    assert [step for _, step in steps(plan, 0.0, 1.0)] == [ReadRun(run) for run in runs]


def test_many_are_looked_for_together_when_the_first_is_due() -> None:
    plan = Plan(20.0, 0.0)
    join(plan, 4)
    [(now, step)] = steps(plan, 0.0, 10.0)
    assert isinstance(step, ReadPage)
    assert (now, step.number, step.size) == (5.0, 1, 500)


def test_those_on_one_page_are_read_with_it() -> None:
    plan = Plan(20.0, 0.0)
    runs = found(plan, 10)
    step = plan.next(10.0)
    assert isinstance(step, ReadPage)
    assert step.expected == runs
    assert steps(plan, 10.0, 60.0) == []


def test_one_alone_on_its_page_is_read_singly() -> None:
    plan = Plan(20.0, 0.0)
    runs = join(plan, 4)
    step = plan.next(5.0)
    came(plan, step, ["x-1", "r-0", "r-1", "r-2"] + [f"x-{n}" for n in range(2, 98)], 5.0, more=True)
    came(plan, plan.next(5.2), ["x-98", "r-3", "x-99"], 5.2)
    first, second = plan.next(10.0), plan.next(10.5)
    assert isinstance(first, ReadPage)
    assert first.expected == runs[:3]
    assert second == ReadRun(runs[3])


def test_what_was_asked_for_before_is_no_news() -> None:
    plan = Plan(20.0, 0.0)
    [run] = join(plan, 1, joined=10.0)
    assert not plan.seen(run, RunStatus.INTERRUPTED, 9.0, 11.0)
    assert run.status is None
    assert plan.seen(run, RUNNING, 12.0, 12.5)
    assert not plan.seen(run, RunStatus.INTERRUPTED, 11.9, 12.6)
    assert run.status == RUNNING


def test_one_that_is_not_where_it_was_expected_is_looked_for_at_once() -> None:
    plan = Plan(20.0, 0.0)
    runs = found(plan, 10)
    came(plan, plan.next(10.0), [run.run_id for run in runs[1:]], 10.0)
    assert plan.next(10.2) == ReadRun(runs[0])


def test_one_that_leaves_while_it_is_looked_at_is_not_missed() -> None:
    plan = Plan(20.0, 0.0)
    runs = found(plan, 10)
    step = plan.next(10.0)
    plan.leave(runs[0], runs[0].waiters[0])
    again = plan.join("r-0", waiter(10.1))
    came(plan, step, [run.run_id for run in runs[1:]], 10.5)
    assert plan.runs["r-0"] is again
    assert ReadRun(again) in [step for _, step in steps(plan, 10.5, 16.0)]


def test_a_look_comes_when_the_time_of_a_waiter_is_up() -> None:
    plan = Plan(20.0, 0.0)
    join(plan, 10, interval=60.0)
    run = plan.join("r-0", waiter(0.0, 60.0, end=20.0))
    [(now, _)] = steps(plan, 0.0, 21.0)
    assert now == 20.0
    # Where the page does not come that may show it, it is asked for itself.
    [(later, step)] = steps(plan, 21.0, 25.0)
    assert isinstance(step, ReadRun)
    assert step.run is run
    assert 22.0 <= later < 23.0


def test_the_shortest_interval_counts_for_as_long_as_that_one_waits() -> None:
    plan = Plan(20.0, 0.0)
    patient, quick = waiter(0.0, 60.0), waiter(0.0, 5.0)
    run = plan.join("r-1", patient)
    plan.join("r-1", quick)
    assert run.interval == 5.0
    plan.leave(run, quick)
    assert run.interval == 60.0
    plan.leave(run, patient)
    assert plan.runs == {}


def test_three_troubles_in_a_row_make_a_pause_and_an_answer_ends_the_row() -> None:
    plan = Plan(20.0, 0.0)
    [run] = join(plan, 1)
    for moment in (1.0, 2.0):
        plan.trouble(5.0, moment, moment)
    plan.run_came(run)
    for moment in (3.0, 4.0):
        plan.trouble(5.0, moment, moment)
    assert steps(plan, 4.0, 4.1) != []
    plan.look_again(run, 4.1, at_once=True)
    plan.trouble(5.0, 4.2, 4.2)
    [(now, _)] = steps(plan, 4.2, 20.0)
    assert now == pytest.approx(9.2)


def test_troubles_of_requests_that_were_under_way_together_count_once() -> None:
    plan = Plan(20.0, 0.0)
    join(plan, 1)
    for number in range(8):
        plan.trouble(5.0, 1.0, 2.0 + number / 100)
    assert steps(plan, 2.1, 3.0) != []


def test_a_page_that_was_asked_for_with_another_size_is_placed_where_it_was() -> None:
    plan = Plan(20.0, 0.0)
    ids = [f"r-{number}" for number in range(300)]
    join(plan, 300)
    for first in (0, 100, 200):
        came(plan, plan.next(5.0 + first / 100), ids[first : first + 100], 5.0 + first / 100, more=first < 200)
    under_way = [plan.next(10.0), plan.next(11.2), plan.next(12.4)]
    assert [step.number for step in under_way if isinstance(step, ReadPage)] == [1, 2, 3]
    # The first one is so large that pages are made smaller; the others come after that.
    large = page(*ids[:100], has_more=True)
    large.size = 10_000_000
    assert isinstance(under_way[0], ReadPage)
    for run, _ in plan.page_came(under_way[0], large, 10.0, 13.0):
        plan.seen(run, RUNNING, 10.0, 13.0)
    for number in (1, 2):
        came(plan, under_way[number], ids[100 * number : 100 * number + 100], 13.1, asked=11.0, more=number < 2)
    step = plan.next(15.0)
    assert isinstance(step, ReadPage)
    assert [run.run_id for run in step.expected] == ids[:10]


def test_who_is_no_longer_waited_for_is_expected_nowhere() -> None:
    plan = Plan(20.0, 0.0)
    runs = found(plan, 10)
    plan.leave(runs[0], runs[0].waiters[0])
    step = plan.next(10.0)
    assert isinstance(step, ReadPage)
    assert step.expected == runs[1:]


def test_pages_that_were_under_way_together_and_fail_count_once() -> None:
    plan = Plan(20.0, 0.0)
    ids = [f"r-{number}" for number in range(80)]
    join(plan, 80)
    # The first one twice: the service gives ten for whatever it is asked.
    for number in (0, *range(8)):
        now = max(5.0, plan.pace.free_at)
        came(plan, plan.next(now), ids[10 * number : 10 * number + 10], now, more=number < 7)
    under_way = [plan.next(12.0 + number) for number in range(8)]
    for number, step in enumerate(under_way):
        assert isinstance(step, ReadPage)
        plan.page_failed(step, 12.0 + number, 20.0, refused=False, too_large=False)
    assert isinstance(plan.next(20.2), ReadPage)


def test_who_joins_while_others_are_looked_for_is_looked_for_in_turn() -> None:
    plan = Plan(20.0, 0.0)
    join(plan, 5)
    first = plan.next(5.0)
    late = [plan.join(f"late-{number}", waiter(5.1)) for number in range(5)]
    # The listing shows none of the first ones. That says nothing of the others, which may not have been there.
    came(plan, first, ["x-1"], 5.2)
    assert {type(plan.next(6.0 + number)) for number in range(4)} == {ReadRun}
    step = next(step for _, step in steps(plan, 10.2, 14.0) if isinstance(step, ReadPage))
    came(plan, step, [run.run_id for run in late], 14.0)
    step = next(step for _, step in steps(plan, 18.9, 22.0) if isinstance(step, ReadPage))
    assert set(step.expected) == set(late)


def test_one_that_shows_in_the_listing_after_all_is_read_with_the_others_again() -> None:
    plan = Plan(20.0, 0.0)
    hidden = join(plan, 5)
    came(plan, plan.next(5.0), ["x-1"], 5.0)
    assert {type(step) for _, step in steps(plan, 5.2, 6.2)} == {ReadRun}
    shown = [plan.join(f"shown-{number}", waiter(6.3)) for number in range(5)]
    step = next(step for _, step in steps(plan, 11.3, 12.0) if isinstance(step, ReadPage))
    came(plan, step, [run.run_id for run in hidden + shown], 12.0)
    for run in shown:
        plan.leave(run, run.waiters[0])
    assert [step.expected for _, step in steps(plan, 16.9, 17.5) if isinstance(step, ReadPage)] == [hidden]
