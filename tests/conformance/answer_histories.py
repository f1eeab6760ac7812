# SPDX-License-Identifier: Apache-2.0
"""
Histories of tasks that answer the questions of a run.

All histories keep the assumptions of the package: an accepted answer shows in the run within ``SHOWS_IN`` seconds after
its sender has seen the failure or died; a 429 means that nothing was done; an agent that uses an ID again asks
something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import strategies as st

from tests.conformance.start_histories import GETS, posts, up_to
from tests.idempotency.service import Fault

#: The package reads the run for this long before it sends an answer again, in seconds.
SHOWS_IN = 5.0


@dataclass(frozen=True, slots=True)
class World:
    """
    What stays the same in a history.

    :param has_store: Whether a state store exists, as in Airflow 3.3 and later.
    :param knows_question: Whether the tasks know the question at the time of the answer.
    :param strict: Whether the service rejects an answer to a question that is not pending, which is not documented.
    :param asks_next: The ID of the question that the agent asks ``asks_after`` seconds after the first answer.
    :param rival_at: The second at which someone else answers the first question, or None.
    :param shows_after: Seconds until the run shows a change.
    """

    has_store: bool = True
    knows_question: bool = False
    strict: bool = True
    asks_next: Literal["nothing", "same id", "other id"] = "nothing"
    asks_after: float = 0.0
    rival_at: float | None = None
    shows_after: float = 0.0


#: The run in one response: as it is, or distorted once by something in between.
Shown = Literal["as it is", "a field more", "no question", "before it asked"]


@dataclass(frozen=True, slots=True)
class Try:
    """
    A try of a task.

    :param task: ``a`` answers the run's first question, ``b`` its second.
    :param pause: Seconds after the previous try.
    :param posts: The faults of its first POSTs. ``gets`` are those of its first GETs.
    :param shown: How the run is shown in each read.
    :param dies: The number of steps after which the worker dies.
    :param overtaken: Whether someone else answers before its first POST takes effect.
    """

    task: Literal["a", "b"] = "a"
    answer: Literal["yes", "no"] = "yes"
    pause: float = 0.0
    posts: tuple[Fault, ...] = ()
    gets: tuple[Fault, ...] = ()
    shown: tuple[Shown, ...] = ()
    dies: int | None = None
    overtaken: bool = False


@dataclass(frozen=True, slots=True)
class History:
    world: World
    tries: tuple[Try, ...]

    @property
    def has_rival(self) -> bool:
        return self.world.rival_at is not None or any(one.overtaken for one in self.tries)

    @property
    def answers_change(self) -> bool:
        """Whether a task gets one answer first, and another one later."""
        return len({(one.task, one.answer) for one in self.tries}) > len({one.task for one in self.tries})


_LAGS = (0.0, 0.5, 2.0)
_WORLDS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "has_store": st.booleans(),
        "knows_question": st.booleans(),
        "strict": st.booleans(),
        "asks_next": st.sampled_from(["nothing", "same id", "other id"]),
        "asks_after": st.sampled_from([0.0, 1.0, 7.0]),
        "shows_after": st.sampled_from(_LAGS),
    }
)
_RIVALS = st.none() | st.sampled_from([0.0, 1.0, 30.0])
_LOCKED = st.just(Fault(409, "never"))
_POSTS = {
    lag: up_to(4, st.sampled_from([posts(SHOWS_IN - lag)] * 9 + [_LOCKED]).flatmap(lambda chosen: chosen))
    for lag in _LAGS
}
_TRIES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "task": st.sampled_from(["a", "a", "b"]),
        "answer": st.sampled_from(["yes", "yes", "yes", "no"]),
        "pause": st.sampled_from([0.0, 1.0, 10.0, 300.0]),
        "gets": st.lists(GETS, max_size=8).map(tuple),
        "shown": st.lists(
            st.sampled_from([*["as it is"] * 3, "a field more", "no question", "before it asked"]),
            max_size=6,
        ).map(tuple),
        "dies": st.none() | st.integers(0, 20),
    }
)
_OVERTAKEN = st.sampled_from([False, False, False, True])
_NUMBERS = st.integers(1, 5)


@st.composite
def histories(draw: st.DrawFn) -> History:
    fields = draw(_WORLDS)
    if not fields["has_store"] and fields["asks_next"] == "same id":
        # Without a store, only the digest distinguishes a question from the next one with the same ID.
        fields["knows_question"] = True
    # The package cannot know of a rival between its read and its answer, unless the service rejects late answers.
    rivals: bool = fields["strict"] and fields["asks_next"] != "same id"
    world = World(rival_at=draw(_RIVALS) if rivals else None, **fields)
    tries = [
        Try(posts=draw(_POSTS[world.shows_after]), overtaken=rivals and draw(_OVERTAKEN), **draw(_TRIES))
        for _ in range(draw(_NUMBERS))
    ]
    return History(world, tuple(tries))
