# SPDX-License-Identifier: Apache-2.0
"""The statuses of many runs at a time, by pages of the service's listing rather than one by one."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import AgentRunNotFoundError, AgentRunsError
from airflow_provider_agentruns.models import ListedRun, RunStatus
from airflow_provider_agentruns.plugins.account import Account
from airflow_provider_agentruns.plugins.single_flight_cache import SingleFlightCache

#: How long what was read counts as new, in seconds.
FRESH = 4.0

#: How many requests one look takes at most: pages of the listing, and single runs that are on none of them.
MOST_PAGES, MOST_SINGLES = 3, 5

#: Up to this many runs, each is read singly: a page of the listing costs the service more.
_FEW = 3

#: How long a list waits for the first look, in seconds: what Airflow knows can be shown without.
_PATIENCE = 2.0

#: How long a run is looked at after somebody last wanted to know of it, in seconds.
_WANTED_FOR = 30.0


@dataclass(frozen=True)
class Known:
    """What is known of a run: ``status`` is None where the service does not know it."""

    status: str | None
    agent: str | None
    questions: int
    seen_at: float


class StatusCache:
    """
    The runs of one connection that somebody looks at a list of. For one event loop.

    :param account: The connection.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._wanted: dict[str, float] = {}
        self._known: dict[str, Known] = {}
        self._looks: SingleFlightCache[int] = SingleFlightCache(fresh_for=lambda _: FRESH, patience=_PATIENCE)

    async def known(self, run_ids: Collection[str]) -> tuple[dict[str, Known], AgentRunsError | None]:
        """Return what is known of some runs, after another look where that is due, and why it failed if it did."""
        now = time.monotonic()
        self._wanted |= dict.fromkeys(run_ids, now)
        self._wanted = {run_id: at for run_id, at in self._wanted.items() if now - at < _WANTED_FOR}
        self._known = {run_id: known for run_id, known in self._known.items() if run_id in self._wanted}
        glance = await self._looks.glance("all", self._look)
        return {run_id: self._known[run_id] for run_id in run_ids if run_id in self._known}, glance.error

    async def close(self) -> None:
        """Stop looking."""
        await self._looks.close()

    async def _look(self) -> int:
        missing = {run_id: at for run_id, at in self._wanted.items() if not self._has_ended(run_id)}
        page, more = 1, len(missing) > _FEW
        while more and missing and page <= MOST_PAGES:
            listed = await self._account.send(requests.list_run_states, page=page)
            for run in listed.data:
                if missing.pop(run["id"], None) is not None:
                    self._note(run["id"], run)
            page, more = page + 1, listed.has_more
        # Those that were not looked at for the longest time first.
        for run_id in sorted(missing, key=self._seen_at)[:MOST_SINGLES]:
            try:
                self._note(run_id, await self._account.send(requests.get_run_state, run_id))
            except AgentRunNotFoundError:
                self._known[run_id] = Known(None, None, 0, time.monotonic())
        return len(self._known)

    def _note(self, run_id: str, run: ListedRun) -> None:
        questions = len(run.get("interrupts") or ())
        self._known[run_id] = Known(run["status"], run.get("agent"), questions, time.monotonic())

    def _has_ended(self, run_id: str) -> bool:
        known = self._known.get(run_id)
        return known is not None and known.status is not None and RunStatus(known.status).finished

    def _seen_at(self, run_id: str) -> float:
        known = self._known.get(run_id)
        return known.seen_at if known else 0.0
