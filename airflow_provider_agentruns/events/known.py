# SPDX-License-Identifier: Apache-2.0
"""The runs that a feed knows: what was last seen of each, and the watch that follows those that are open."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_agentruns.events.cursor import GONE, Seen
from airflow_provider_agentruns.exceptions import AgentRunNotFoundError
from airflow_provider_agentruns.polling.followed import Followed, Verdict, Waiter

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import ListedRun
    from airflow_provider_agentruns.polling.watch import Watch

log = logging.getLogger(__name__)

#: An open run is looked at again after this part of the time for which it has been as it is, where that is longer
#: than the interval, but after so many seconds at the latest: questions that nobody answers would add up.
_PATIENT_PART = 0.01
_PATIENT_MOST = 600.0

#: The newest page shows most of the open runs in time. They are looked at elsewhere when it has not, a little later.
_LATER = 1.1

#: A look is good for so many intervals.
_LATELY = 2.5

#: How long a run that the listing shows may be unknown otherwise, in seconds.
_MAY_BE_MISSING = 60.0

#: After how many seconds a run is looked at again that could not be looked at. Who is unknown twice is gone.
_LOST_FOR = 600.0


class Audience(Protocol):
    """Those who are told of runs."""

    @property
    def interval(self) -> float:
        """How often they want them looked at, in seconds."""

    @property
    def floor(self) -> int | None:
        """What was created until then and has ended, they do not need; None while that is not known."""

    def wants(self, agent: str | None) -> bool:
        """Whether any of them wants to hear of an agent's runs; of one that is not known, all do."""

    def tell(self, run: Seen) -> None:
        """Tell them of a run that is not as it was."""

    def fail(self, error: BaseException) -> None:
        """Tell them nothing more."""


class _Known:
    """A run that is open, or was created after the horizon."""

    __slots__ = ("asked", "changed", "created", "first", "lost", "retry_at", "run", "seen", "waiter")

    def __init__(self, created: float, first: int) -> None:
        self.created = created
        #: In which pass it was first seen.
        self.first = first
        #: As it was last seen; None where a subscriber knows of it and nobody has looked yet.
        self.seen: Seen | None = None
        #: When that look was asked for.
        self.asked = -math.inf
        #: Since when it has been as it is, as far as that is known, in seconds since 1970.
        self.changed = created
        self.run: Followed | None = None
        self.waiter: Waiter | None = None
        #: How often it was unknown to the service, and until when it is not looked at for that or other reasons.
        self.lost = 0
        self.retry_at = -math.inf

    @property
    def finished(self) -> bool:
        return self.seen is not None and self.seen.finished


class KnownRuns:
    """
    Runs that are open, or were created after the horizon.

    :param watch: What follows the open ones.
    :param audience: Who is told of what has changed.
    """

    def __init__(self, watch: Watch, audience: Audience) -> None:
        self._watch = watch
        self._audience = audience
        self._known: dict[str, _Known] = {}
        self._told_of_moments = False
        self._losses: list[str] = []
        #: Counts the readings of the listing.
        self.passes = 0

    def __iter__(self) -> Iterator[Seen]:
        """Iterate over all that have been seen, as they last were."""
        return (known.seen for known in list(self._known.values()) if known.seen is not None)

    @property
    def newest(self) -> float:
        """When the newest of them was created."""
        return max((known.created for known in self._known.values()), default=0.0)

    @property
    def up_to_date(self) -> bool:
        """Whether all open ones have been looked at lately. Those that nobody wanted to hear of have not."""
        now = time.monotonic()
        return all(
            known.finished or (known.waiter is not None and now - known.asked <= _LATELY * known.waiter.interval)
            for known in self._known.values()
        )

    def add(self, runs: Iterable[tuple[str, float]]) -> None:
        """Add some that are open for all that is known, each with the moment of its creation."""
        for run_id, created in runs:
            self._known.setdefault(run_id, _Known(created, self.passes))

    def was_known(self, run_id: str) -> bool:
        """Whether a run was known before this reading."""
        known = self._known.get(run_id)
        return known is not None and known.first < self.passes

    def forget(self, horizon: int) -> None:
        """Forget what has ended and was created until then."""
        for run_id, known in list(self._known.items()):
            if known.finished and known.created <= horizon:
                del self._known[run_id]

    def close(self) -> None:
        """Have none followed any more."""
        for known in self._known.values():
            self._unfollow(known)

    # What is seen

    def show(self, run: Seen, asked: float) -> None:
        """Take note of a run on a page."""
        known = self._known.get(run.run_id)
        if known is None:
            if run.created is None:
                self._tell_of_moments()
                return
            if run.finished and run.created <= (self._audience.floor or 0):
                return
            known = self._known[run.run_id] = _Known(run.created, self.passes)
        if run.status == "interrupted" and not run.asked:
            # The listing does not show what it asks, by which one round is told from another.
            if known.seen is None or known.seen.status != run.status:
                self._follow(run.run_id, known)
                if known.run is not None:
                    self._watch.look_alone(known.run)
            return
        self._saw(run, known, asked)

    def _observed(self, run_id: str, known: _Known, listed: ListedRun, asked: float, whole: bool) -> None:
        """Take note of a look that the watch has taken."""
        try:
            run = Seen.of(listed, run_id)
            if whole:
                self._saw(run, known, asked)
            elif self._known.get(run_id) is known:
                self.show(run, asked)
        except Exception as e:  # noqa: BLE001 -- the watch goes on for all others
            self._audience.fail(e)

    def _saw(self, run: Seen, known: _Known, asked: float) -> None:
        if asked < known.asked or known.finished:
            return
        before, known.asked = known.seen, asked
        if before is None or (run.status, run.asked) != (before.status, before.asked):
            known.seen = replace(run, created=known.created)
            if before is not None:
                known.changed = time.time()
            self._audience.tell(known.seen)
        if known.finished:
            self._unfollow(known)
        else:
            known.lost = 0
            self._follow(run.run_id, known)

    def _tell_of_moments(self) -> None:
        if not self._told_of_moments:
            self._told_of_moments = True
            log.warning("The listing shows agent runs without a moment of creation. There will be no events for them")

    # Following what is open

    def follow_all(self) -> None:
        """Have all followed that are open and wanted, as often as is wanted now."""
        self._tell_of_losses()
        for run_id, known in self._known.items():
            if not known.finished:
                self._follow(run_id, known)

    def _follow(self, run_id: str, known: _Known) -> None:
        """Have the watch look at an open run as often as it has to be."""
        if not self._audience.wants(known.seen.agent if known.seen else None):
            self._unfollow(known)
            return
        now, interval = time.monotonic(), self._audience.interval * _LATER
        if known.run is not None and known.waiter is not None:
            if known.asked >= known.waiter.joined:
                # Only now: much may have happened before the first look.
                unchanged = max(0.0, time.time() - known.changed)
                interval = max(interval, min(unchanged * _PATIENT_PART, _PATIENT_MOST))
            if not 0.8 < interval / known.waiter.interval < 1.25:
                known.waiter.interval = interval
                self._watch.renew(known.run)
        elif known.retry_at <= now:
            known.waiter = Waiter(
                frozenset(),
                interval,
                partial(self._lost, run_id, known),
                joined=now,
                missing_until=now + _MAY_BE_MISSING,
                tell=_tell_nobody,
                observe=partial(self._observed, run_id, known),
            )
            known.run = self._watch.join(run_id, known.waiter)

    def _unfollow(self, known: _Known) -> None:
        if known.run is not None and known.waiter is not None:
            self._watch.leave(known.run, known.waiter)
        known.run = known.waiter = None

    def _lost(self, run_id: str, known: _Known, verdict: Verdict) -> None:
        """Take note that a run cannot be looked at, and why."""
        known.run = known.waiter = None
        known.retry_at = time.monotonic() + _LOST_FOR
        if verdict.get("error") == AgentRunNotFoundError.__name__:
            known.lost += 1
            if known.lost > 1:
                self._saw(Seen(run_id, GONE, created=known.created), known, math.inf)
                return
        self._losses.append(f"{run_id}: {verdict.get('message')}")

    def _tell_of_losses(self) -> None:
        if self._losses:
            log.warning(
                "%d agent runs cannot be looked at, which is tried again in %g minutes; the first is %s",
                len(self._losses),
                _LOST_FOR / 60,
                self._losses[0],
            )
            self._losses.clear()


def _tell_nobody(*_args: Any) -> None:
    """Say nothing: there is no task in whose log it would be of use, and the watch speaks of what concerns all."""
