# SPDX-License-Identifier: Apache-2.0
"""Things that many look at, each read once for all of them. Knows nothing of runs, of Airflow or of HTTP."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from airflow_provider_agentruns.exceptions import AgentRunsError

T = TypeVar("T")

#: How many things are remembered.
MOST_REMEMBERED = 300

#: How long an error is remembered, in seconds, before anybody makes another try.
FRESH_ERROR = 5.0

#: How long one who looks waits for a reading where there is an older one to show, in seconds.
PATIENCE_WITH_OLD = 1.0


@dataclass(frozen=True)
class CachedValue(Generic[T]):
    """
    What there is to see.

    :param value: What was read last, however long ago; None where nothing could be read yet.
    :param age: How long ago that was, in seconds.
    :param error: Why the last try failed, where it did.
    """

    value: T | None
    age: float | None
    error: AgentRunsError | None


class _Entry(Generic[T]):
    def __init__(self) -> None:
        self.value: T | None = None
        self.read_at: float | None = None
        self.error: AgentRunsError | None = None
        self.fresh_until = 0.0
        self.reading: asyncio.Task[None] | None = None

    def glance(self) -> CachedValue[T]:
        age = None if self.read_at is None else time.monotonic() - self.read_at
        return CachedValue(self.value, age, self.error)


class SingleFlightCache(Generic[T]):
    """
    Remembers what was read, and reads it again when somebody looks and it is old. For one event loop.

    :param fresh_for: How long a value counts as new, in seconds.
    :param patience: How long one who looks waits for the first reading, in seconds.
    """

    def __init__(self, fresh_for: Callable[[T], float], patience: float) -> None:
        self._fresh_for = fresh_for
        self._patience = patience
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()

    async def glance(self, key: str, read: Callable[[], Awaitable[T]]) -> CachedValue[T]:
        """
        Return what there is to see, after a moment's wait where it is being read.

        :param read: Reads it; what it raises of :class:`AgentRunsError` is shown, and anything else is raised here.
        """
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        self._forget()
        if entry.reading is None and time.monotonic() >= entry.fresh_until:
            entry.reading = asyncio.create_task(self._fill(entry, read))
        if (reading := entry.reading) is not None:
            # Whoever goes away does not stop the reading, which others wait for.
            await asyncio.wait({reading}, timeout=self._patience if entry.value is None else PATIENCE_WITH_OLD)
            if reading.done() and not reading.cancelled():
                reading.result()
        return entry.glance()

    async def close(self) -> None:
        """Stop all readings."""
        under_way = [entry.reading for entry in self._entries.values() if entry.reading]
        for reading in under_way:
            reading.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        self._entries.clear()

    async def _fill(self, entry: _Entry[T], read: Callable[[], Awaitable[T]]) -> None:
        try:
            entry.value = await read()
            entry.read_at, entry.error = time.monotonic(), None
            entry.fresh_until = entry.read_at + self._fresh_for(entry.value)
        except AgentRunsError as e:
            entry.error, entry.fresh_until = e, time.monotonic() + FRESH_ERROR
        finally:
            entry.reading = None

    def _forget(self) -> None:
        while len(self._entries) > MOST_REMEMBERED:
            _, oldest = self._entries.popitem(last=False)
            if oldest.reading:
                # Nobody has asked for so many others.
                oldest.reading.cancel()
