# SPDX-License-Identifier: Apache-2.0
"""Which page of the listing to read next, from its newest end down to what is known. Free of I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from airflow_provider_agentruns.watching.scan import Order, order_of

#: No listing has so many pages. One that says so has no end.
_DEEPEST = 1_000_000


class Sweep:
    """
    One reading of the listing.

    Where the oldest runs come first, its last page is looked for: where it was before, else by the total count,
    else by doubling and halving. A listing in no order is read as a whole.

    :param whole: Whether all of it is to be read.
    :param last: Which page was the last one, where the oldest came first before.
    """

    def __init__(self, *, whole: bool, last: int | None = None) -> None:
        self.whole = whole
        #: Which page is the last one, where the oldest come first.
        self.last = None if whole else last
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
        number = self.page
        order = order_of([None if moment is None else datetime.fromtimestamp(moment, UTC) for moment in created])
        if self.seeking and order is not Order.NEWEST_FIRST:
            self._look_for_last(number, entries, has_more, settled[0])
        elif self.seeking:
            # It is in another order than it was.
            self.seeking, self.order, self.last, self.page = False, None, None, 1
        elif self._backwards:
            self.over = settled[0] or number <= 1
            self.page = number - 1
        else:
            self.order = self.order or order
            if self.order is Order.OLDEST_FIRST and has_more and not self.whole:
                self.seeking, self._before_last = True, number
                self.page = max(number + 1, pages or 0)
                return
            settled_here = settled[1] and self.order is Order.NEWEST_FIRST and not self.whole
            self.over = settled_here or not (entries and has_more)
            self.page = number + 1

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
