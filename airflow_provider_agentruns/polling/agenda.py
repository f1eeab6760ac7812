# SPDX-License-Identifier: Apache-2.0
"""Which run is next, at the cost of a few comparisons however many there are."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable

from airflow_provider_agentruns.polling.followed import Followed


class Agenda:
    """
    Runs by the moment at which each is to be looked at.

    A run that gets another moment is put in again; what was put in before is passed over when its turn comes.

    :param moment_of: Returns the moment that holds for a run now.
    """

    def __init__(self, moment_of: Callable[[Followed], float]) -> None:
        self._moment_of = moment_of
        self._entries: list[tuple[float, int, Followed]] = []
        self._numbers = itertools.count()

    def put(self, run: Followed) -> None:
        """Put a run in under the moment that holds for it now."""
        heapq.heappush(self._entries, (self._moment_of(run), next(self._numbers), run))

    def first(self) -> Followed | None:
        """Return the run whose turn is first, and leave it in."""
        while self._entries:
            moment, _, run = self._entries[0]
            if run.waiters and not run.busy and self._moment_of(run) == moment:
                return run
            heapq.heappop(self._entries)
        return None

    def pop(self) -> None:
        """Take out what :meth:`first` has returned."""
        heapq.heappop(self._entries)

    def next_moment(self) -> float:
        """When the turn of the first run is; never, where there is none."""
        run = self.first()
        return math.inf if run is None else self._moment_of(run)
