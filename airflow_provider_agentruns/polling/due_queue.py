# SPDX-License-Identifier: Apache-2.0
"""Runs ordered by the time of their next poll."""

from __future__ import annotations

import heapq
import itertools

from airflow_provider_agentruns.polling.tracked_run import TrackedRun


class DueQueue:
    """
    A priority queue of runs by ``next_poll_at``.

    Rescheduling a run adds another entry. Entries that no longer match their run are dropped when they come up.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, TrackedRun]] = []
        self._numbers = itertools.count()

    def schedule(self, run: TrackedRun, at: float) -> None:
        """Poll a run at a time, instead of the time scheduled before."""
        run.next_poll_at = at
        heapq.heappush(self._entries, (at, next(self._numbers), run))

    def first(self) -> TrackedRun | None:
        """Return the run to poll first, without removing it."""
        while self._entries:
            at, _, run = self._entries[0]
            if run.waiters and not run.busy and run.next_poll_at == at:
                return run
            heapq.heappop(self._entries)
        return None

    def pop(self) -> None:
        """Remove the run that :meth:`first` has returned."""
        heapq.heappop(self._entries)

    def pop_due(self, now: float) -> list[TrackedRun]:
        """Remove and return the runs that are due, the earliest first."""
        due = []
        while (run := self.first()) is not None and run.next_poll_at <= now:
            heapq.heappop(self._entries)
            due.append(run)
        return due
