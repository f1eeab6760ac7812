# SPDX-License-Identifier: Apache-2.0
"""Under all faults of requests, responses, listings, and workers, a task starts one run and answers a question once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance import answer_histories as answers
from tests.conformance import start_histories as starts
from tests.conformance.answer_play import AnswerPlay
from tests.conformance.effort import tries
from tests.conformance.start_play import StartPlay
from tests.idempotency.service import Fault

#: The histories, and the results that must occur. Otherwise the test would prove little.
RANDOM = {
    "starts": (StartPlay, starts.histories(), {"Started", "NoneType", "AgentRunStartInDoubtError"}),
    "answers": (AnswerPlay, answers.histories(), {"Answered", "NoneType", "AgentRunInterruptGoneError"}),
}


@pytest.mark.parametrize(("play", "histories", "outcomes"), RANDOM.values(), ids=RANDOM)
def test_random_histories(play: Any, histories: st.SearchStrategy[Any], outcomes: set[str]) -> None:
    seen: set[str] = set()

    @tries(300, 10_000)
    @given(histories)
    def each(history: Any) -> None:
        seen.update(play(history).play().outcomes)

    each()
    assert seen >= outcomes


NO_STORE = starts.World(has_store=False, dag_age=3600.0, shows_after=0.4)

#: Histories that once failed, reduced to their minimum.
STARTS = {
    "without a store, a retry while the run of the first try does not show yet": starts.History(
        NO_STORE, (starts.Try(), starts.Try())
    ),
    "a retry right after a second request, minutes after the first": starts.History(
        starts.World(), (starts.Try(posts=(Fault(504, "never", 60.0), Fault(504, 3.0, 60.0))), starts.Try())
    ),
    "a slow listing, during which the run appears": starts.History(
        starts.World(), (starts.Try(posts=(Fault("lost", 5.0),), gets=(Fault(takes=9.0),)),)
    ),
    "a run of other work that shows before the own one, where nothing tells them apart": starts.History(
        starts.World(evidence="none", shows_after=3.0, siblings=(starts.Sibling("instant", "other", -1.0),)),
        (starts.Try(posts=(Fault("lost"),)),),
    ),
    "a cleared task uses its run, and is tried again after the run has ended": starts.History(
        starts.World(lasts=60.0), (starts.Try(), starts.Try(pause=10.0, cleared=True), starts.Try(pause=300.0))
    ),
}


@pytest.mark.parametrize("history", STARTS.values(), ids=STARTS)
def test_a_task_starts_one_run_where_it_once_did_not(history: starts.History) -> None:
    assert len(StartPlay(history).play().service.own) == 1


KILLED = answers.Try(posts=(Fault("lost", 3.0),), dies=6)

ANSWERS = {
    "an answer of a dead worker arrives when the next question is asked under the same id": answers.History(
        answers.World(asks_next="same id", knows_question=True), (KILLED, answers.Try())
    ),
    "an answer of a dead worker arrives at a service that takes every answer": answers.History(
        answers.World(strict=False), (KILLED, answers.Try())
    ),
    "an answer of a dead worker arrives when another one is lost": answers.History(
        answers.World(), (KILLED, answers.Try(answer="no", posts=(Fault("lost", "never"),)))
    ),
}


@pytest.mark.parametrize("history", ANSWERS.values(), ids=ANSWERS)
def test_a_question_gets_one_answer_where_it_once_got_two(history: answers.History) -> None:
    assert [taken.answer for taken in AnswerPlay(history).play().service.taken] == ["a: yes", "b: yes"]
