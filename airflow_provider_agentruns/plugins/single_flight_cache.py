# SPDX-License-Identifier: Apache-2.0
"""A cache in which concurrent readers of a key share one load. Independent of Airflow and HTTP."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from airflow_provider_agentruns.exceptions import AgentRunsError

T = TypeVar("T")

#: The number of keys that the cache keeps.
MAX_ENTRIES = 300

#: Seconds between a failed load and the next one.
ERROR_FRESH_FOR = 5.0

#: Seconds that a reader waits for a load if the cache has an older value.
WAIT_WITH_VALUE = 1.0


@dataclass
class CachedValue(Generic[T]):
    """
    A value, and its state in the cache.

    :param value: The latest value; None if no load has succeeded yet.
    :param loaded_at: When the load of the value began, by ``time.monotonic``.
    :param error: Why the latest load failed, if it did.
    """

    value: T | None = None
    loaded_at: float = 0.0
    error: AgentRunsError | None = None
    fresh_until: float = -math.inf
    task: asyncio.Task[None] | None = None


class SingleFlightCache(Generic[T]):
    """
    Caches values, and reloads a value if someone reads it when it is no longer fresh. For one event loop.

    :param load: Loads the value of a key. An :class:`AgentRunsError` becomes part of the result.
    :param fresh_for: Returns how many seconds a value stays fresh.
    :param max_wait: Seconds that a reader waits for the first load of a key.
    """

    def __init__(self, load: Callable[[str], Awaitable[T]], fresh_for: Callable[[T], float], max_wait: float) -> None:
        self._load, self._fresh_for, self._max_wait = load, fresh_for, max_wait
        # In the order of their last use.
        self._entries: dict[str, CachedValue[T]] = {}

    async def get(self, key: str) -> CachedValue[T]:
        """Return the value of a key, loading it if necessary."""
        entry = self._entries.pop(key, None) or CachedValue()
        self._entries[key] = entry
        if len(self._entries) > MAX_ENTRIES:
            del self._entries[next(iter(self._entries))]
        if entry.task is None and time.monotonic() >= entry.fresh_until:
            entry.task = asyncio.create_task(self._reload(key, entry))
        if entry.task is not None:
            # A reader who is canceled does not cancel the load for the others.
            done, _ = await asyncio.wait({entry.task}, timeout=WAIT_WITH_VALUE if entry.value else self._max_wait)
            for task in done:
                task.result()
        return entry

    async def _reload(self, key: str, entry: CachedValue[T]) -> None:
        began = time.monotonic()
        try:
            entry.value = await self._load(key)
            entry.loaded_at, entry.error = began, None
            entry.fresh_until = time.monotonic() + self._fresh_for(entry.value)
        except AgentRunsError as e:
            entry.error, entry.fresh_until = e, time.monotonic() + ERROR_FRESH_FOR
        finally:
            entry.task = None
