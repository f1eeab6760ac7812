# SPDX-License-Identifier: Apache-2.0
"""A round reads pages, which ``client.listing_walk`` selects, until they show too few of the runs that are due."""

from __future__ import annotations

import math

from airflow_provider_agentruns.client.listing_walk import ListingWalk, Order
from airflow_provider_agentruns.client.requests import Request, list_run_states
from airflow_provider_agentruns.client.responses import ListedPage
from airflow_provider_agentruns.polling.tracked_run import TrackedRun

#: A page is worth its request if it shows this many of the wanted runs.
_WORTH_A_PAGE = 2

#: A round ends after this many pages in a row that are not worth it, or after a fraction of the number of wanted runs.
_WASTED_PAGES = 3
_WASTED_FRACTION = 0.2


class ListingRound:
    """One reading of the listing, which starts with the order and page size that the previous one found."""

    def __init__(self, now: float, first: TrackedRun, previous: ListingRound | None) -> None:
        self.began_at = now
        #: When its first run was due, and that run's interval.
        self.next_poll_at = first.next_poll_at
        self.interval = first.interval
        #: The runs to find, by ID.
        self.wanted: dict[str, TrackedRun] = {}
        #: Runs that became due after it began, and may be on pages that it has read already.
        self.late: list[TrackedRun] = []
        self.walk: ListingWalk = ListingWalk(previous=previous.walk if previous else None)
        #: When the page in progress was requested; infinite if there is none.
        self.requested_at = math.inf
        self._wasted = 0

    def request(self) -> Request[ListedPage]:
        return list_run_states(page=self.walk.page or 1, page_size=self.walk.page_size)

    def can_find(self, run: TrackedRun) -> bool:
        """Return whether the listing has shown a run before this round, but not during it."""
        return -math.inf < run.last_request_at < self.began_at

    def page_read(self, page: ListedPage | None) -> None:
        """Take in a page; None if the service has no such page."""
        shown = page.data if page else ()
        found = sum(self.wanted.pop(listed["id"], None) is not None for listed in shown)
        self.requested_at = math.inf
        self.walk.advance(page)
        looking_for_last_page = self.walk.order is Order.OLDEST_FIRST and self.walk.last_page is None
        if found >= _WORTH_A_PAGE:
            self._wasted = 0
        elif page is not None and not looking_for_last_page:
            self._wasted += 1

    @property
    def over(self) -> bool:
        """Whether no further page is worth its request."""
        most_wasted = max(_WASTED_PAGES, _WASTED_FRACTION * len(self.wanted))
        return not self.wanted or self.walk.page is None or self._wasted >= most_wasted
