# SPDX-License-Identifier: Apache-2.0
"""One reading of the listing by a feed: it ends when all that it was for has been read, however long that takes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_agentruns.events.cursor import Seen
from airflow_provider_agentruns.events.sweep import Sweep
from airflow_provider_agentruns.exceptions import (
    AgentRunsAPIError,
    AgentRunsAuthError,
    AgentRunsConfigError,
    AgentRunsError,
)
from airflow_provider_agentruns.polling.scan import Order

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import ListedPage
    from airflow_provider_agentruns.polling.watch import Watch

log = logging.getLogger(__name__)

#: The most pages that are read: a listing without end must not be read for ever.
MOST_PAGES = 1000

#: The longest pause after failures, in seconds, unless pages are wanted less often anyway.
_LONGEST_PAUSE = 300.0

#: After so many refusals of the token in a row it is wrong, and not just being changed.
_MOST_REFUSALS = 4

#: How a service may refuse a page that lies beyond the end, or deeper than it goes.
_NO_SUCH_PAGE = (400, 404, 413, 416, 422)


class Reading:
    """
    Reads pages from the newest end of the listing.

    :param watch: The watch whose turn it takes.
    :param whole: Whether all of it is to be read.
    :param floor: What was created until then needs not be read; None where nothing is known of that.
    :param is_known: Says of a run whether what lies beyond it needs not be read either.
    :param before: The sweep of the reading before, which has learnt something of the listing.
    :param begin: Is told, before the first run is shown, as of when they are, by the service's clock.
    :param show: Is shown each run, and told when it was asked for.
    :param interval: Returns how often pages are wanted, in seconds.
    """

    def __init__(
        self,
        watch: Watch,
        *,
        whole: bool,
        floor: int | None,
        is_known: Callable[[str], bool],
        before: Sweep | None,
        begin: Callable[[float], None],
        show: Callable[[Seen, float], None],
        interval: Callable[[], float],
    ) -> None:
        self._watch = watch
        self._floor = floor
        self._is_known = is_known
        self._begin = begin
        self._show = show
        self._interval = interval
        self.sweep = Sweep(whole=whole)
        if before is not None:
            self.sweep = Sweep(whole=whole, last=before.last, ordered=before.ordered)
        self.pages = 0
        #: As of when the runs are shown. None: no page has come.
        self.moment: float | None = None
        #: When the newest of them was created.
        self.newest: float | None = None

    @property
    def unordered(self) -> bool:
        """Whether the listing shows no order, so that all of it has been read."""
        return self.sweep.order is None

    async def read(self) -> None:
        """
        Read all that is to be read. What passes is outlasted, with ever longer pauses.

        :raises AgentRunsError: If the connection is wrong.
        """
        size, failures, refusals = self._watch.page_size, 0, 0
        while not self.sweep.over:
            if self.pages == MOST_PAGES:
                log.warning(
                    "The listing of agent runs has more than %d pages. What lies beyond is left out", MOST_PAGES
                )
                return
            if size != self._watch.page_size:
                # The pages are numbered anew.
                size = self._watch.page_size
                self.sweep = Sweep(whole=self.sweep.whole, ordered=self.sweep.ordered)
            try:
                await self._watch.read_page(self.sweep.page, self._take)
            except AgentRunsError as e:
                refusals += isinstance(e, AgentRunsAuthError) and e.status_code == 401
                if refusals == _MOST_REFUSALS or (isinstance(e, AgentRunsConfigError) and not e.retryable):
                    raise
                if size != self._watch.page_size or self._is_the_end(e):
                    continue
                failures += 1
                await self._pause(failures)
            else:
                failures = refusals = 0

    def _is_the_end(self, error: AgentRunsError) -> bool:
        """Take a page that is refused where others were given for one that is not there."""
        if self.sweep.page == 1 or not isinstance(error, AgentRunsAPIError) or error.status_code not in _NO_SUCH_PAGE:
            return False
        if not self.sweep.seeking:
            log.warning("The listing of agent runs ends with a page that is refused: %s", error)
        self.sweep.has_read(created=[], settled=(False, False), entries=0, has_more=False, pages=None)
        return True

    async def _pause(self, failures: int) -> None:
        # The first time, the connection may just have been opened anew.
        interval = self._interval()
        longest = max(_LONGEST_PAUSE, interval)
        await asyncio.sleep(min(interval * 2 ** min(failures - 2, 10), longest) if failures > 1 else min(1.0, interval))

    def _take(self, page: ListedPage, asked: float) -> None:
        self.pages += 1
        runs = [Seen.of(listed) for listed in page.data]
        entries = len(runs) + page.left_out
        self.sweep.has_read(
            created=[run.created for run in runs],
            settled=(bool(runs) and self._is_settled(runs[0]), bool(runs) and self._is_settled(runs[-1])),
            entries=entries,
            has_more=page.has_more,
            pages=None if page.total_count is None or not entries else -(-page.total_count // entries),
        )
        newest = max((run.created for run in runs if run.created is not None), default=None)
        if self.moment is None:
            self.moment = self._moment_of(page, newest)
            self._begin(self.moment)
        if newest is not None:
            self.newest = newest if self.newest is None else max(self.newest, newest)
        for run in runs:
            self._show(run, asked)

    def _moment_of(self, page: ListedPage, newest: float | None) -> float:
        """Return as of when the listing is shown, by the clock that its runs go by."""
        if self.sweep.order is Order.NEWEST_FIRST or not page.has_more:
            return newest or 0.0
        return page.served_at or time.time()

    def _is_settled(self, run: Seen) -> bool:
        return (run.created is not None and self._floor is not None and run.created <= self._floor) or self._is_known(
            run.run_id
        )
