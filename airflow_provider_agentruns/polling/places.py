# SPDX-License-Identifier: Apache-2.0
"""
Where in the listing runs are: what was learnt of its pages, which the service's reference says little of.

A run's *place* is its index in the listing, less the number of runs that have come in above all since the
watch began (the *shift*). Where new runs come first, that stays the same for ever, and seeing one run again
tells by how far all have moved; where they come last, there is no shift. Should the listing be in another
order, places turn out wrong. That costs requests, never a run: who is not where it was expected is asked for singly.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort

from airflow_provider_agentruns.polling.followed import Followed

#: Sizes of a page to ask for, until one shows what the service grants. 100 is a common largest one, and a service
#: may give its default to who asks for more.
_SIZES_TO_TRY = (500, 100)

#: A page larger than this, in bytes, holds the event loop up. Then fewer runs are asked for.
_LARGEST_PAGE = 2_000_000

_SMALLEST_SIZE = 10


class Places:
    """Learns the size of a page, and finds the page on which a run is to be expected."""

    def __init__(self) -> None:
        #: How many runs to ask for.
        self.asking = _SIZES_TO_TRY[0]
        #: How many runs a page holds; None until a page has shown that it holds no more.
        self.size: int | None = None
        #: The last page that the service gives, where it refuses deeper ones.
        self.deepest = math.inf
        self._shift = 0
        # Sorted by place; the number keeps two runs of the same place apart.
        self._placed: list[tuple[int, int, Followed]] = []

    def page_of(self, run: Followed) -> int | None:
        """Return the number of the page on which a run is to be expected, from 1; None where that is not known."""
        if run.place is None:
            return None
        if self.size is None:
            # No page but the first has been read, and there may be no other.
            return 1
        return max(0, run.place + self._shift) // self.size + 1

    def on_page(self, number: int) -> list[Followed]:
        """Return the followed runs that are to be expected on a page."""
        if self.size is None:
            return [run for _, _, run in self._placed]
        # What has been pushed above the first page can only be on it.
        low = (number - 1) * self.size - self._shift if number > 1 else -(10**12)
        high = number * self.size - self._shift
        return [
            run for _, _, run in self._placed[bisect_left(self._placed, (low,)) : bisect_left(self._placed, (high,))]
        ]

    def saw(self, runs: list[tuple[int, Followed]]) -> None:
        """
        Note where followed runs were seen.

        :param runs: Each with its index in the whole listing.
        """
        for index, run in runs:
            if run.place is not None:
                self._shift = index - run.place
                break
        for index, run in runs:
            place = index - self._shift
            if place != run.place:
                self.forget(run)
                run.place = place
                insort(self._placed, (place, id(run), run))

    def forget(self, run: Followed) -> None:
        """Forget where a run was seen."""
        if run.place is not None:
            key = (run.place, id(run))
            at = bisect_left(self._placed, key)
            if at < len(self._placed) and self._placed[at][2] is run:
                del self._placed[at]
            run.place = None

    def learn_size(self, asked_for: int, got: int, has_more: bool, size_in_bytes: int) -> None:
        """
        Learn from a page that has come how many runs a page holds.

        :param asked_for: How many runs were asked for.
        :param got: How many have come.
        """
        if not has_more or not got:
            return
        if size_in_bytes > _LARGEST_PAGE and got > _SMALLEST_SIZE:
            self.size = self.asking = max(_SMALLEST_SIZE, got * _LARGEST_PAGE // (2 * size_in_bytes))
            return
        if self.size is not None:
            # A page may be short for any reason, such as rows that are left out after it has been cut.
            return
        smaller = next((size for size in _SIZES_TO_TRY if got < size < asked_for), None)
        if smaller is not None:
            # Perhaps it gave its default to who wanted too much.
            self.asking = smaller
        else:
            self.size = self.asking = got

    def refused_size(self) -> bool:
        """Ask for fewer from now on, since the service refuses as many. False where it cannot be fewer."""
        if self.asking <= _SMALLEST_SIZE:
            return False
        self.asking = next((size for size in _SIZES_TO_TRY if size < self.asking), self.asking // 2)
        self.size = None
        return True
