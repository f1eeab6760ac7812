# SPDX-License-Identifier: Apache-2.0
"""One watcher's news: each run that newly comes to a status, once, with what was told kept where a restart finds it."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Protocol

from airflow_provider_agentruns.events.cursor import Cursor, Seen
from airflow_provider_agentruns.events.subscription import Begun, Passed, Subscription
from airflow_provider_agentruns.polling.followed import Tell
from airflow_provider_agentruns.polling.shared import subscribed

#: How long after an event the cursor is kept that covers it, in seconds. An event leaves the process that runs
#: triggers within about a second, and is in Airflow's database before anything that the process sends later is
#: looked at. Were the cursor there first, and the triggerer killed in between, nobody would ever tell of that run.
KEEP_AFTER = 5.0

_LONGEST_PAUSE = 60.0


class Store(Protocol):
    """Keeps JSON values under keys; Airflow's asset state store does."""

    async def aget(self, key: str) -> Any:
        """Return what is kept; None where nothing is."""

    async def aset(self, key: str, value: Any) -> None:
        """Keep a value."""


class Keeper:
    """
    Keeps a cursor in a store: not before it is safe to, not too often, and only where it has changed.

    :param stores: Where it is kept. All are given the same, since any may be gone one day.
    :param tell: Logs what goes wrong.
    """

    def __init__(self, stores: Sequence[Store], key: str, tell: Tell) -> None:
        self._stores = stores
        self._key = key
        self._tell = tell
        self._copy: dict[str, Any] | None = None
        self._revision = 0
        self._told_at = -math.inf
        self._kept_at = -math.inf
        self._failures = 0
        #: When to call :meth:`keep`.
        self.due = math.inf

    async def load(self, cursor: Cursor) -> None:
        """Have a cursor go on where it was; a store that cannot be read for the moment is waited for."""
        found = [stored for store in self._stores if (stored := await self._get(store)) is not None]
        # Where one could not be written to, or was not among those that were, it is behind.
        found.sort(key=lambda stored: (_number(stored, "kept"), _number(stored, "horizon")))
        while found:
            try:
                cursor.read(found.pop())
            except ValueError as e:
                self._tell(logging.WARNING, "What is kept under %r is of no use: %s", self._key, e)
            else:
                self._revision = cursor.revision
                return

    def told(self) -> None:
        """Take note that an event was handed over just now."""
        self._told_at = time.monotonic()

    def changed(self, cursor: Cursor) -> None:
        """Take a copy of a cursor that may have changed; of all that it covers, the events are handed over."""
        if not self._stores or not cursor.complete:
            return
        if self._copy is None and cursor.revision != self._revision:
            self._copy = {**cursor.to_json(), "kept": int(time.time())}
            self._revision = cursor.revision
            pause = KEEP_AFTER if not self._failures else min(KEEP_AFTER * 2**self._failures, _LONGEST_PAUSE)
            self.due = max(self._told_at + KEEP_AFTER, self._kept_at + pause)

    async def keep(self) -> None:
        """Keep the copy that was taken."""
        copy, self._copy, self.due = self._copy, None, math.inf
        if copy is None:
            return
        failed = False
        for store in self._stores:
            try:
                await store.aset(self._key, copy)
            except Exception as e:  # noqa: BLE001 -- whatever it is, it can be kept later
                failed = True
                self._tell(logging.WARNING, "Cannot keep which agent runs there were events for: %s", e)
        self._kept_at = time.monotonic()
        self._failures = min(self._failures + 1, 10) if failed else 0
        if failed:
            # So that it is tried again.
            self._revision = -1

    async def _get(self, store: Store) -> Any:
        failures = 0
        while True:
            try:
                return await store.aget(self._key)
            except Exception as e:  # noqa: BLE001 -- to begin anew would be to miss what has happened since
                failures += 1
                self._tell(logging.WARNING, "Cannot read which agent runs there were events for: %s", e)
                await asyncio.sleep(min(2.0**failures, _LONGEST_PAUSE))


async def news(
    agentruns_conn_id: str,
    statuses: Sequence[str],
    agent: str | None,
    *,
    interval: float,
    keeper: Keeper,
) -> AsyncGenerator[Seen, None]:
    """
    Yield each run that newly comes to one of some statuses.

    What is yielded counts as told once the next one is asked for.

    :param agentruns_conn_id: The Airflow connection.
    :param agent: Whose runs; None for all.
    :param interval: The longest time that a change goes unnoticed, in seconds.
    :param keeper: Keeps what has been told of.
    :raises AgentRunsError: If the connection is wrong.
    """
    cursor = Cursor(statuses, agent)
    await keeper.load(cursor)
    subscription = Subscription(cursor, agent=agent, interval=interval)
    # What happens while a new cursor gets to know what there is. It has to be kept before it tells of anything: else
    # who starts after it would take what it was about to tell for what has always been there.
    held: list[Seen] = []
    held_ids: set[str] = set()
    async with subscribed(agentruns_conn_id, subscription):
        while True:
            for notice in await subscription.notices(until=keeper.due):
                ripe: list[Seen] = []
                if isinstance(notice, Begun):
                    cursor.begin(notice.moment)
                elif isinstance(notice, Passed):
                    if cursor.passed(notice.horizon):
                        keeper.changed(cursor)
                        await keeper.keep()
                    ripe, held = held, []
                elif cursor.has_to_wait(notice) or (cursor.begun is not None and notice.run_id in held_ids):
                    held.append(notice)
                    held_ids.add(notice.run_id)
                else:
                    ripe.append(notice)
                for seen in ripe:
                    if cursor.is_news(seen):
                        yield seen
                        keeper.told()
                    cursor.note(seen)
            if keeper.due <= time.monotonic():
                await keeper.keep()
            # Once more, since more may have changed since what was kept.
            keeper.changed(cursor)


def _number(stored: Any, name: str) -> float:
    value = stored.get(name) if isinstance(stored, dict) else None
    return float(value) if isinstance(value, int | float) else -math.inf
