# SPDX-License-Identifier: Apache-2.0
"""Which page of the listing to read next, from its newest end down to what is known. Free of I/O."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from airflow_provider_agentruns.polling.scan import Order

#: By how many seconds runs may be out of order in a listing that is in one: they may be sorted by something else
#: that is given out at nearly the same moment.
_ABOUT = 60.0

#: No listing has so many pages. One that says so has no end.
_DEEPEST = 1_000_000


class Sweep:
    """
    One reading of the listing.

    Where the oldest runs come first, its last page is looked for: where it was before, else by the total count,
    else by doubling and halving. A listing in no order is read as a whole.

    :param whole: Whether all of it is to be read.
    :param last: Which page was the last one, where the oldest came first before.
    :param ordered: Whether it may be in an order. Where one page shows none, no other says anything.
    """

    def __init__(self, *, whole: bool, last: int | None = None, ordered: bool = True) -> None:
        self.whole = whole
        self.ordered = ordered
        #: Which page is the last one, where the oldest come first.
        self.last = last if ordered and not whole else None
        self.page = self.last or 1
        self.over = False
        #: In which order the listing is; None where that does not show.
        self.order = Order.OLDEST_FIRST if self.last else None
        self._backwards = False
        #: Whether the last page is looked for. Meanwhile: one that has others behind it, and one beyond the end.
        self.seeking = self.last is not None
        self._before_last = 0
        self._beyond: int | None = None
        self._step = 1

    def has_read(
        self,
        *,
        created: Sequence[float | None],
        settled: tuple[bool, bool],
        entries: int,
        has_more: bool,
        pages: int | None,
    ) -> None:
        """
        Go to the next page, or to none.

        :param created: When the runs on the page were created, in their order, in seconds since 1970.
        :param settled: Whether there can be nothing to be found beyond the first one and beyond the last one, if
            the older runs are there.
        :param entries: How many runs were on it.
        :param has_more: Whether it says that others follow.
        :param pages: How many pages there are; None where the service does not tell.
        """
        if not self._learn_order([moment for moment in created if moment is not None]):
            return
        number = self.page
        if self.seeking:
            self._look_for_last(number, entries, has_more, settled[0])
        elif self._backwards:
            self.over = settled[0] or number <= 1
            self.page = number - 1
        elif self.order is Order.OLDEST_FIRST and has_more and not self.whole:
            self.seeking, self._before_last = True, number
            self.page = max(number + 1, pages or 0)
        else:
            settled_here = settled[1] and self.order is Order.NEWEST_FIRST and not self.whole
            self.over = settled_here or not (entries and has_more)
            self.page = number + 1

    def _learn_order(self, created: list[float]) -> bool:
        """Say whether the page fits with what the others have shown. If not, it begins again, with none."""
        if not self.ordered:
            return True
        rises, falls = _widest_rise(created), _widest_rise(created[::-1])
        shown: Order | None = None
        if rises > _ABOUT and falls > _ABOUT:
            fits = False
        elif rises > _ABOUT or falls > _ABOUT:
            shown = Order.OLDEST_FIRST if rises > falls else Order.NEWEST_FIRST
            fits = self.order in (None, shown)
        else:
            fits = True
            steps = sum((later > earlier) - (later < earlier) for earlier, later in pairwise(created))
            if steps:
                shown = Order.OLDEST_FIRST if steps > 0 else Order.NEWEST_FIRST
        self.order = self.order or shown
        if fits:
            return True
        fresh_start = not self.whole and self.page != 1
        self.ordered, self.order, self.last, self.seeking, self._backwards = False, None, None, False, False
        if fresh_start:
            self.page = 1
        return not fresh_start

    def _look_for_last(self, number: int, entries: int, has_more: bool, settled: bool) -> None:
        if entries and not has_more:
            self._found_last(number, number - 1)
            self.over = self.over or settled
            return
        if entries:
            self._before_last = number
            self.page = number + self._step if self._beyond is None else (number + self._beyond) // 2
            self._step *= 2
        else:
            self._beyond = number
            self.page = (self._before_last + number) // 2
        if self.page > _DEEPEST:
            self.over = True
        elif self.page <= self._before_last:
            # It said of itself that others follow.
            self._found_last(self._before_last, self._before_last - 1)

    def _found_last(self, last: int, then: int) -> None:
        self.seeking, self._backwards = False, True
        self.last, self.page = last, then
        self.over = then < 1


def _widest_rise(moments: list[float]) -> float:
    """Return by how much a later one of some moments is above an earlier one at the most."""
    widest, lowest = 0.0, float("inf")
    for moment in moments:
        lowest = min(lowest, moment)
        widest = max(widest, moment - lowest)
    return widest
