# SPDX-License-Identifier: Apache-2.0
"""Reading the listing page by page, to learn where runs are of which that is not known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from itertools import pairwise

#: So many pages of a scan may be under way: a service that is slow to answer should not make it slow to look through.
_MOST_AT_ONCE = 4

#: No listing has so many pages. One that says so has no end.
_DEEPEST = 500_000


class Order(Enum):
    """In which order a listing is."""

    NEWEST_FIRST = "newest first"
    OLDEST_FIRST = "oldest first"


def order_of(*columns: Sequence[datetime | None]) -> Order | None:
    """
    Tell the order of a listing from a page of it; None where it shows none, or two at once.

    :param columns: The moments that it may go by, each for all entries in their order.
    """
    falling = rising = False
    for moments in columns:
        known = [moment for moment in moments if moment]
        if known and known[0] != known[-1]:
            falling |= all(earlier >= later for earlier, later in pairwise(known))
            rising |= all(earlier <= later for earlier, later in pairwise(known))
    if falling == rising:
        return None
    return Order.NEWEST_FIRST if falling else Order.OLDEST_FIRST


class Scan:
    """
    Which page to read next, from where the newest runs are: those that are waited for are mostly among them.

    Where the newest are last, the end of the listing is looked for first: by its total count where the service
    tells it, else by doubling and halving. From there on, several pages may be under way at once.

    :param due: When the runs that are looked for have to be looked at.
    :param begun: When the scan began.
    """

    def __init__(self, due: float, begun: float) -> None:
        self.due = due
        self.begun = begun
        #: The page to read next.
        self.page = 1
        #: The pages that are under way.
        self.reading: set[int] = set()
        #: Whether there is no page left that is worth reading.
        self.over = False
        self.barren = 0
        self.found = 0
        self._steady = False
        self._backwards = False
        # A page that has others behind it, and one that is empty or beyond the end, while the last one is looked for.
        self._before_last: int | None = None
        self._beyond: int | None = None

    @property
    def seeks_last(self) -> bool:
        """Whether the last page is being looked for, and a page may well be beyond it."""
        return self._before_last is not None

    def may_read(self, wanted: int) -> bool:
        """
        Say whether the next page may be read now.

        :param wanted: On how many pages at least those are that are looked for.
        """
        if self.over:
            return False
        return not self.reading or (self._steady and len(self.reading) < min(wanted, _MOST_AT_ONCE))

    def read(self) -> int:
        """Return the next page, which is read from now on."""
        number = self.page
        self.reading.add(number)
        if self._steady:
            self._advance()
        return number

    def read_again(self, number: int) -> None:
        """Read a page once more."""
        self.reading.discard(number)

    def has_read(
        self,
        number: int,
        *,
        found: int,
        missing: int,
        order: Order | None,
        entries: int,
        has_more: bool,
        pages: int | None,
    ) -> None:
        """
        Go on to other pages, or to none.

        :param number: Which page has come.
        :param found: How many of the runs that are looked for were on the page.
        :param missing: How many are still looked for.
        :param order: The order that the page shows.
        :param entries: How many runs were on it.
        :param has_more: Whether it says that others follow.
        :param pages: How many pages there are; None where the service does not tell.
        """
        self.reading.discard(number)
        self.barren = 0 if found else self.barren + 1
        self.found += found
        if self._before_last is not None:
            self._look_for_last(self._before_last, number, entries, has_more)
            return
        if not self._steady and order is Order.OLDEST_FIRST and has_more:
            self._backwards = True
            self.barren = 0
            if pages is None:
                self._before_last = 1
            self._steady = pages is not None
            self.page = max(2, pages or 2)
            return
        if not self._steady:
            self._steady = True
            self._advance()
        if (not self._backwards and not (has_more and entries)) or self.barren >= max(3, missing // 10):
            self.over = True

    def _advance(self) -> None:
        self.page += -1 if self._backwards else 1
        # Where the oldest come first, the first page was read at the beginning.
        if self.page < 2:
            self.over = True

    def _look_for_last(self, before: int, number: int, entries: int, has_more: bool) -> None:
        self.barren = 0
        if entries and not has_more:
            self._before_last, self.page = None, number - 1
        elif entries:
            self._before_last = number
            self.page = number * 2 if self._beyond is None else (number + self._beyond) // 2
        else:
            self._beyond = number
            self.page = (before + number) // 2
        if self._before_last is not None and self.page <= self._before_last:
            # The last one said of itself that others follow.
            self._before_last = None
        self._steady = self._before_last is None
        if self.page < 2 or self.page > _DEEPEST:
            self.over = True
