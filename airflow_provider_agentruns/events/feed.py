# SPDX-License-Identifier: Apache-2.0
"""
Looking for new runs, once for all of a connection who want to hear of them.

The newest page of the listing is read again and again, and further ones until all that is new has been seen. What is
open is followed by the watch, as if somebody waited for it: on pages of the listing, at the watch's pace.

Now and then a *deep* pass goes down to the horizon, whatever is known by then: it finds the runs that the listing
shows late, and only then the horizon moves.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_agentruns.events.cursor import OVERLAP, Seen
from airflow_provider_agentruns.events.known import KnownRuns
from airflow_provider_agentruns.events.reading import Reading

if TYPE_CHECKING:
    from airflow_provider_agentruns.events.subscription import Subscription
    from airflow_provider_agentruns.events.sweep import Sweep
    from airflow_provider_agentruns.polling.watch import Watch

log = logging.getLogger(__name__)

#: Triggers come one after the other where a triggerer starts. They are waited for, so that one pass serves all.
_GRACE = 1.0

#: How often a pass goes deep, in seconds: so often that a run which the listing shows within the overlap is found.
_DEEP_EVERY = OVERLAP / 2

#: A listing in no order is read as a whole each time. It is given a rest of so many seconds for each of its pages.
_REST = 0.25


class Feed:
    """
    Tells all who subscribe of each run that is seen in another state than before.

    :param watch: The watch of the connection.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._joining: list[Subscription] = []
        self._active: list[Subscription] = []
        self._known = KnownRuns(watch, self)
        # What was created later is known; None while nothing is. And whether all that are open are.
        self._horizon: int | None = None
        self._whole = False
        self._went_deep_at = -math.inf
        # The newest one, which has learnt something of the listing.
        self._sweep: Sweep | None = None
        self._joined = asyncio.Event()
        #: Whether it tells nothing more, since it has failed.
        self.over = False
        # With no context of its own: what it logs belongs to none of the triggers.
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        self._task.add_done_callback(self._done)

    def join(self, subscription: Subscription) -> None:
        """Tell one more."""
        self._joining.append(subscription)
        self._known.add(subscription.known)
        self._joined.set()

    def leave(self, subscription: Subscription) -> None:
        """Tell one less."""
        for some in (self._joining, self._active):
            with suppress(ValueError):
                some.remove(subscription)

    @property
    def idle(self) -> bool:
        """Whether nobody is told anything."""
        return not (self._joining or self._active)

    async def close(self) -> None:
        """Stop."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._known.close()

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    # Those who are told, all together

    @property
    def _all(self) -> list[Subscription]:
        return [*self._joining, *self._active]

    @property
    def interval(self) -> float:
        """How often they want to be told, in seconds."""
        return min((one.interval for one in self._all), default=_DEEP_EVERY)

    @property
    def floor(self) -> int | None:
        """What was created until then and has ended, they do not need; None while that is not known."""
        return min((one.floor for one in self._all if one.floor is not None), default=None)

    def wants(self, agent: str | None) -> bool:
        """Whether any wants to hear of an agent's runs; of one that is not known, all do."""
        return any(agent is None or one.agent in (None, agent) for one in self._all)

    def tell(self, run: Seen) -> None:
        """Tell them of a run that is not as it was."""
        for one in self._active:
            one.tell(run)

    def fail(self, error: BaseException) -> None:
        """Tell them nothing more."""
        self.over = True
        self._task.cancel()
        for one in self._all:
            one.fail(error)

    # One pass after the other

    async def _run(self) -> None:
        await asyncio.sleep(min(_GRACE, self.interval))
        while True:
            begun = time.monotonic()
            self._joined.clear()
            self._known.follow_all()
            reading = await self._pass(begun)
            self._admit()
            rest = _REST * (reading.pages - 1) if reading.unordered else 0.0
            await self._sleep(max(begun + self.interval, time.monotonic() + rest))

    async def _sleep(self, until: float) -> None:
        """Sleep, unless somebody joins who has to be shown more than is known."""
        while not self._joining and (seconds := until - time.monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._joined.wait()
            self._joined.clear()
            until = min(until, time.monotonic() + self.interval)
            self._admit()

    async def _pass(self, begun: float) -> Reading:
        """Read the listing from its newest end down to what is known, or down to the horizon."""
        self._known.passes += 1
        joining, floor = list(self._joining), self.floor
        whole = any(one.fresh for one in self._all)
        deep = whole or bool(joining) or begun - self._went_deep_at >= _DEEP_EVERY
        reading = Reading(
            self._watch,
            whole=whole,
            floor=floor,
            is_known=lambda run_id: not deep and self._known.was_known(run_id),
            before=self._sweep,
            begin=partial(self._begin, joining),
            show=self._known.show,
            interval=lambda: self.interval,
        )
        await reading.read()
        if not reading.sweep.ordered and (self._sweep is None or self._sweep.ordered):
            log.warning(
                "The listing of agent runs is in no order by which new ones can be found: %d pages are read each time",
                reading.pages,
            )
        self._sweep = reading.sweep
        if deep or reading.unordered:
            self._went_deep_at = begun
            self._whole = self._whole or whole
            # More is known now than will be in a moment: others who came meanwhile need no pass of their own.
            self._horizon = self.floor if floor is None else floor
            self._admit(up_to_date=whole)
            self._move_horizon(reading)
        return reading

    def _begin(self, joining: list[Subscription], moment: float) -> None:
        for one in joining:
            if one in self._joining:
                self._let_in(one, moment)

    def _let_in(self, one: Subscription, moment: float) -> None:
        """Show what is known, and from now on whatever is seen."""
        self._joining.remove(one)
        self._active.append(one)
        # Once more: some may have ended, and have been forgotten, since he came.
        self._known.add(one.known)
        one.begin(moment)
        for run in self._known:
            one.tell(run)

    def _admit(self, *, up_to_date: bool = False) -> None:
        """
        Let those in for whom it is enough what is known.

        :param up_to_date: Whether all of it has been seen just now.
        """
        for one in list(self._joining):
            if self._horizon is None:
                continue
            if one.floor is None:
                enough = self._whole and (up_to_date or self._known.up_to_date)
            else:
                enough = one.floor >= self._horizon
            if not enough:
                continue
            self._let_in(one, self._known.newest)
            one.passed(self._horizon)
        self._known.follow_all()

    def _move_horizon(self, reading: Reading) -> None:
        moment = reading.moment or 0.0
        horizon = math.floor((moment if reading.newest is None else min(moment, reading.newest)) - OVERLAP)
        self._horizon = horizon if self._horizon is None else max(self._horizon, horizon)
        for one in self._active:
            one.passed(self._horizon)
        self._known.forget(self._horizon)
