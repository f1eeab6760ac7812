# SPDX-License-Identifier: Apache-2.0
"""A cache in which concurrent readers of a key share one load. Knows nothing of Airflow or HTTP."""

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

#: Seconds after a failed load before the next one.
ERROR_FRESH_FOR = 5.0

#: Seconds that a reader waits for a load if there is an older value to return.
WAIT_WITH_VALUE = 1.0


class TooManyLoadsError(Exception):
    """The cache loads too many keys at once."""


@dataclass
class CachedValue(Generic[T]):
    """
    A value, and its state in the cache.

    :param value: The latest value; None if no load has succeeded yet, or the value is too old.
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
    Caches values, and loads a value again if someone reads it and it is no longer fresh. For one event loop.

    :param fresh_for: Returns how many seconds a value stays fresh.
    :param max_wait: Seconds that a reader waits for the first load of a key.
    :param max_age: Seconds after which a value is never returned, even if every load fails.
    :param max_loads: The number of keys without a value that are loaded at once.
    """

    def __init__(
        self,
        fresh_for: Callable[[T], float],
        max_wait: float,
        *,
        max_age: float = math.inf,
        max_loads: float = math.inf,
    ) -> None:
        self._fresh_for, self._max_wait, self._max_age, self._max_loads = fresh_for, max_wait, max_age, max_loads
        # In the order of their last use.
        self._entries: dict[str, CachedValue[T]] = {}

    async def get(self, key: str, load: Callable[[], Awaitable[T]]) -> CachedValue[T]:
        """
        Return the value of a key, loading it if necessary.

        :param load: Loads the value. An :class:`AgentRunsError` becomes part of the result; others are raised here.
        :raises TooManyLoadsError: If the key has no value, and the cache loads too many others.
        """
        entry = self._entries.get(key) or CachedValue()
        self._drop_if_too_old(entry)
        if entry.task is None and time.monotonic() >= entry.fresh_until:
            loads = sum(1 for other in self._entries.values() if other.task and other.value is None)
            if entry.value is None and loads >= self._max_loads:
                raise TooManyLoadsError
            entry.task = asyncio.create_task(self._load(entry, load))
        self._entries.pop(key, None)
        self._entries[key] = entry
        self._evict()
        if (task := entry.task) is not None:
            # A reader who is canceled does not cancel the load for the others.
            await asyncio.wait({task}, timeout=self._max_wait if entry.value is None else WAIT_WITH_VALUE)
            if task.done() and not task.cancelled():
                task.result()
            self._drop_if_too_old(entry)
        return entry

    def peek(self, key: str) -> T | None:
        """Return the value of a key without loading it."""
        entry = self._entries.get(key)
        return entry.value if entry else None

    async def _load(self, entry: CachedValue[T], load: Callable[[], Awaitable[T]]) -> None:
        began = time.monotonic()
        try:
            entry.value = await load()
            entry.loaded_at, entry.error = began, None
            entry.fresh_until = time.monotonic() + self._fresh_for(entry.value)
        except AgentRunsError as e:
            entry.error, entry.fresh_until = e, time.monotonic() + ERROR_FRESH_FOR
        finally:
            entry.task = None

    def _drop_if_too_old(self, entry: CachedValue[T]) -> None:
        if entry.value is not None and time.monotonic() - entry.loaded_at >= self._max_age:
            entry.value, entry.fresh_until = None, -math.inf

    def _evict(self) -> None:
        if len(self._entries) > MAX_ENTRIES:
            # Entries without a value go first, so that requests for keys that do not exist displace no others.
            oldest = next(iter(self._entries))
            key = next((key for key, entry in self._entries.items() if not entry.value and not entry.task), oldest)
            if task := self._entries.pop(key).task:
                task.cancel()
