# SPDX-License-Identifier: Apache-2.0
"""What a feed tells one of those who want to hear of all runs, until he has the time for it."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from airflow_provider_agentruns.events.cursor import OVERLAP, Cursor, Seen


@dataclass(frozen=True, slots=True)
class Begun:
    """What is shown from now on was there at a moment by the service's clock, unless it was created later."""

    moment: float


@dataclass(frozen=True, slots=True)
class Passed:
    """All that was created after the horizon before has been shown; this is the new one."""

    horizon: int


Notice = Begun | Passed | Seen


class Subscription:
    """
    One who wants to hear of all runs, or of all of one agent.

    :param cursor: What he knows already.
    :param agent: Whose runs; None for all.
    :param interval: The longest time that a change may go unnoticed, in seconds.
    """

    def __init__(self, cursor: Cursor, *, agent: str | None, interval: float) -> None:
        self.agent = agent
        self.interval = interval
        self.known = list(cursor.open_runs)
        #: Whether he has to be shown what has been there for long, since he has just begun.
        self.fresh = cursor.horizon is None
        #: Of what was created until then, he needs none that has ended. None: that is not known yet.
        self.floor = cursor.horizon
        self._notices: deque[Notice] = deque()
        self._changed = asyncio.Event()
        self._error: BaseException | None = None

    def begin(self, moment: float) -> None:
        """Say as of when he is shown what there is."""
        if self.floor is None:
            self.floor = math.floor(moment - OVERLAP)
            self.tell(Begun(moment))

    def tell(self, notice: Notice) -> None:
        """Give him a notice."""
        self._notices.append(notice)
        self._changed.set()

    def passed(self, horizon: int) -> None:
        """Say that he has been shown all that he needs."""
        self.fresh = False
        self.floor = horizon if self.floor is None else max(self.floor, horizon)
        self.tell(Passed(horizon))

    def fail(self, error: BaseException) -> None:
        """Say that nothing more will come."""
        self._error = error
        self._changed.set()

    async def notices(self, until: float) -> list[Notice]:
        """
        Return what there is to be told, as soon as there is something.

        :param until: When to return at the latest, by ``time.monotonic()``.
        """
        if not self._notices and self._error is None:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if until == math.inf else max(0.0, until - time.monotonic())):
                    await self._changed.wait()
        if self._error is not None and not self._notices:
            raise self._error
        notices, self._notices = list(self._notices), deque()
        return notices
