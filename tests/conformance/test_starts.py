# SPDX-License-Identifier: Apache-2.0
"""Under all faults of requests, responses, listings, and workers, a task starts one run, and finds it in the end."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.conformance.effort import FEW, tries
from tests.conformance.start_histories import History, Sibling, Try, World, histories
from tests.conformance.start_play import StartPlay
from tests.idempotency.service import Fault

#: Results that must occur. Otherwise the test would prove little.
OUTCOMES = {"Started", "NoneType", "AgentRunStartInDoubtError"}


def test_a_task_starts_one_run() -> None:
    seen: set[str] = set()

    @tries(FEW, 10_000)
    @given(histories())
    def each(history: History) -> None:
        seen.update(StartPlay(history).play().outcomes)

    each()
    assert seen >= OUTCOMES


NO_STORE = World(has_store=False, dag_age=3600.0, shows_after=0.4)

#: Histories that once failed, reduced to their minimum.
ONCE_WRONG = {
    "without a store, a retry while the run of the first try does not show yet": History(NO_STORE, (Try(), Try())),
    "a retry right after a second request, minutes after the first": History(
        World(), (Try(posts=(Fault(504, "never", 60.0), Fault(504, 3.0, 60.0))), Try())
    ),
    "a slow listing, during which the run appears": History(
        World(), (Try(posts=(Fault("lost", 5.0),), gets=(Fault(takes=9.0),)),)
    ),
    "a run of other work that shows before the own one, where nothing tells them apart": History(
        World(evidence="none", shows_after=3.0, siblings=(Sibling("instant", "other", -1.0),)),
        (Try(posts=(Fault("lost"),)),),
    ),
    "a cleared task uses its run, and is tried again after the run has ended": History(
        World(lasts=60.0), (Try(), Try(pause=10.0, cleared=True), Try(pause=300.0))
    ),
}


@pytest.mark.parametrize("history", ONCE_WRONG.values(), ids=ONCE_WRONG)
def test_a_task_starts_one_run_where_it_once_did_not(history: History) -> None:
    assert len(StartPlay(history).play().service.own) == 1
