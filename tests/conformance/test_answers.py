# SPDX-License-Identifier: Apache-2.0
"""Under all faults of requests, responses, and workers, a question gets one answer, and the one meant for it."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.conformance.answer_histories import History, Try, World, histories
from tests.conformance.answer_play import AnswerPlay
from tests.conformance.effort import FEW, tries
from tests.idempotency.service import Fault

#: Results that must occur. Otherwise the test would prove little.
OUTCOMES = {"Answered", "NoneType", "AgentRunInterruptGoneError"}


def test_a_question_gets_one_answer() -> None:
    seen: set[str] = set()

    @tries(FEW, 10_000)
    @given(histories())
    def each(history: History) -> None:
        seen.update(AnswerPlay(history).play().outcomes)

    each()
    assert seen >= OUTCOMES


KILLED = Try(posts=(Fault("lost", 3.0),), dies=6)

#: Histories that once failed, reduced to their minimum.
ONCE_WRONG = {
    "an answer of a dead worker arrives when the next question is asked under the same id": History(
        World(asks_next="same id", knows_question=True), (KILLED, Try())
    ),
    "an answer of a dead worker arrives at a service that takes every answer": History(
        World(strict=False), (KILLED, Try())
    ),
    "an answer of a dead worker arrives when another one is lost": History(
        World(), (KILLED, Try(answer="no", posts=(Fault("lost", "never"),)))
    ),
}


@pytest.mark.parametrize("history", ONCE_WRONG.values(), ids=ONCE_WRONG)
def test_a_question_gets_one_answer_where_it_once_got_two(history: History) -> None:
    assert [taken.answer for taken in AnswerPlay(history).play().service.taken] == ["a: yes", "b: yes"]
