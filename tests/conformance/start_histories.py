# SPDX-License-Identifier: Apache-2.0
"""
Histories of a task that starts a run.

All histories keep the assumptions of the package: a run that a request starts is listed within ``LISTING_LAG`` seconds
after the sender has seen the failure or died; a 429 means that nothing was done; clocks differ by a few seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from hypothesis import strategies as st

from airflow_provider_agentruns.idempotency.listing_search import Start
from tests.idempotency.service import Fault, Order

T = TypeVar("T")

#: The package's constant, in seconds.
LISTING_LAG = 8.0

STARTS = {
    "business": Start("instant", business_id="b-1"),
    "context": Start("instant", context_type="company", context_id="b-1"),
    "thread": Start("instant", thread_id="t-own"),
}


@dataclass(frozen=True, slots=True)
class Sibling:
    """A run that someone else starts, some seconds after the task's first try."""

    agent: Literal["instant", "slow"]
    about: Literal["same", "other"]
    at: float


@dataclass(frozen=True, slots=True)
class World:
    """
    What stays the same in a history.

    :param about: A key of ``STARTS``.
    :param has_store: Whether a state store exists, as in Airflow 3.3 and later.
    :param evidence: Where the service shows the subject of a run.
    :param orders: The order of the listing in each search.
    :param skew: Seconds by which the service's clock is ahead.
    :param shows_after: Seconds until a run is listed.
    :param lasts: Seconds until a run ends.
    :param dag_age: Seconds between the start of the DAG run and the first try.
    """

    about: Literal["business", "context", "thread"] = "business"
    has_store: bool = True
    evidence: Literal["listing", "thread", "run", "none"] = "listing"
    orders: tuple[Order, ...] = ("newest first",)
    page_size: int = 100
    skew: float = 0.0
    tells_time: bool = True
    tells_total: bool = True
    shows_after: float = 0.0
    lasts: float = 60.0
    dag_age: float = 1.0
    siblings: tuple[Sibling, ...] = ()

    @property
    def tells(self) -> bool:
        return self.about == "thread" or self.evidence != "none"

    @property
    def has_twin(self) -> bool:
        """Whether someone else starts a run with the same subject at about the same time."""
        return any(
            sibling.agent == "instant" and sibling.about == "same" and sibling.at > -self.dag_age - 60
            for sibling in self.siblings
        )


@dataclass(frozen=True, slots=True)
class Try:
    """
    A try of the task.

    :param pause: Seconds after the previous try.
    :param posts: The faults of its first POSTs. ``gets`` are those of its first GETs.
    :param dies: The number of steps after which the worker dies.
    :param cleared: Whether a person cleared the task before the try.
    :param forgets: Whether Airflow discarded the task's state when it was cleared.
    :param ahead: Seconds by which the worker's clock is ahead.
    """

    pause: float = 0.0
    posts: tuple[Fault, ...] = ()
    gets: tuple[Fault, ...] = ()
    dies: int | None = None
    cleared: bool = False
    forgets: bool = False
    ahead: float = 0.0


@dataclass(frozen=True, slots=True)
class History:
    world: World
    tries: tuple[Try, ...]


def seconds(most: float) -> st.SearchStrategy[float]:
    return st.integers(0, round(most * 10)).map(lambda tenths: tenths / 10)


def posts(longest_delay: float) -> st.SearchStrategy[Fault]:
    """Draw the fault of a POST. Most faults leave the sender in doubt."""
    takes = st.sampled_from([0.0, 0.3, 5.0, 30.0, 60.0])
    done = st.sampled_from(["at once", "never"]) | seconds(longest_delay)
    broken = st.builds(Fault, st.sampled_from(["lost", "unreadable", 500, 502, 503, 504]), done, takes)
    fine = st.builds(Fault, takes=takes)
    refused = st.builds(Fault, st.sampled_from(["unsent", 429, 400, 404, 422]), st.just("never"))
    return st.sampled_from([broken, broken, broken, fine, refused]).flatmap(lambda chosen: chosen)


def up_to(most: int, one: st.SearchStrategy[T]) -> st.SearchStrategy[tuple[T, ...]]:
    return st.one_of([st.tuples(*[one] * number) for number in range(most + 1)])


#: The fault of a GET: most often none, so that searches proceed.
GETS = st.sampled_from(
    [Fault()] * 8 + [Fault(takes=0.1)] * 4 + [Fault(reply) for reply in ("lost", "unsent", 429, 500, 502, 503, 504)]
)

_ORDERS: list[Order] = ["newest first", "oldest first", "by last change", "none"]

_SIBLINGS = st.lists(
    st.one_of(
        st.builds(Sibling, st.just("instant"), st.just("other"), seconds(200).map(lambda at: at - 60)),
        st.builds(Sibling, st.just("slow"), st.sampled_from(["same", "other"]), seconds(200).map(lambda at: at - 60)),
        # Old runs must never be used. Newer ones are twins, which cannot be distinguished from the task's own run.
        st.builds(Sibling, st.just("instant"), st.just("same"), st.sampled_from([-86400.0, -9000.0, -5.0, 1.0, 30.0])),
    ),
    max_size=4,
)

# Created once, because creating a strategy takes longer than playing a history.
_FIELDS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "orders": st.lists(st.sampled_from(_ORDERS), min_size=1, max_size=3).map(tuple),
        "page_size": st.sampled_from([100, 2, 3]),
        "tells_total": st.booleans(),
        "has_store": st.booleans(),
        "shows_after": st.sampled_from([0.0, 0.4, 3.0, 6.0]),
        "lasts": st.sampled_from([0.0, 5.0, 100.0, 100_000.0]),
        "dag_age": st.sampled_from([1.0, 100.0, 3600.0]),
        "siblings": _SIBLINGS.map(tuple),
    }
)
_ABOUT: st.SearchStrategy[tuple[Any, Any]] = st.sampled_from(
    # The service lists threads of businesses only.
    [("business", evidence) for evidence in ("listing", "thread", "run", "none")]
    + [("context", evidence) for evidence in ("thread", "none")]
    + [("thread", "none")]
)
_CLOCKS = st.one_of(
    # Without a Date header, the package assumes that the clocks differ by five seconds at most.
    st.tuples(st.just(False), st.sampled_from([0.0, 0.4, -0.4])),
    st.tuples(st.just(True), st.sampled_from([0.0, 0.7, -2.3, 300.0, -3600.0])),
)
_POSTS = {late: up_to(3, posts(LISTING_LAG - late)) for late in (0.0, 0.4, 3.0, 6.0)}
_TRIES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "gets": st.lists(GETS, max_size=12).map(tuple),
        "dies": st.none() | st.integers(0, 24),
        "ahead": st.sampled_from([0.0, 4.5, -4.5]),
    }
)
# A person takes a while to clear a task.
_PAUSES = st.sampled_from([(pause, False) for pause in (0.0, 1.0, 15.0, 100.0, 300.0)] + [(60.0, True), (300.0, True)])
_NUMBERS = st.integers(1, 4)


@st.composite
def histories(draw: st.DrawFn) -> History:
    (about, evidence), (tells_time, skew) = draw(_ABOUT), draw(_CLOCKS)
    world = World(about=about, evidence=evidence, tells_time=tells_time, skew=skew, **draw(_FIELDS))
    tries = []
    for number in range(draw(_NUMBERS)):
        pause, cleared = draw(_PAUSES) if number else (0.0, False)
        forgets = cleared and draw(st.booleans())
        tries.append(Try(pause, draw(_POSTS[world.shows_after]), cleared=cleared, forgets=forgets, **draw(_TRIES)))
    return History(world, tuple(tries))
