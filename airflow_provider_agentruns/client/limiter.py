# SPDX-License-Identifier: Apache-2.0
"""Delays the requests of a process until their send times, which a store assigns for all processes of an account."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Protocol

from airflow_provider_agentruns.client.connection_settings import Settings
from airflow_provider_agentruns.client.file_store import FileStore
from airflow_provider_agentruns.client.rate_state import Priority, Slot
from airflow_provider_agentruns.exceptions import AgentRunsThrottledError

#: A slot counts as reached this many seconds before, which is about how exactly a process can sleep.
_TOLERANCE = 0.001


class Store(Protocol):
    """Keeps the slots that all processes of an account share. Its calls may block for up to a few seconds."""

    #: Why another store replaces this one at present.
    problem: str | None

    def reserve(self, rate: float, priority: Priority, max_delay: float) -> tuple[Slot, float]:
        """
        Reserve a slot, and return it and the seconds until then.

        :param rate: Requests per second.
        :param max_delay: Nothing is reserved if the slot is more than this many seconds away.
        """

    def delay(self, rate: float, slot: Slot) -> float | None:
        """Return the seconds until a reserved slot, which may have moved, or None if the store has lost it."""

    def block(self, rate: float, seconds: float) -> None:
        """Move all slots by some seconds after a 429."""


class Limiter:
    """
    Delays requests to keep to one rate with all that share the store. Safe in threads, event loops, and forks.

    :param rate: Requests per second.
    """

    def __init__(self, rate: float, store: Store) -> None:
        self.rate = rate
        self.store = store

    def wait(self, priority: Priority = Priority.WAIT, max_wait: float | None = None) -> float:
        """
        Sleep until a request may be sent.

        :param max_wait: The longest acceptable delay, in seconds; None for any.
        :return: The delay in seconds.
        :raises AgentRunsThrottledError: If the delay would be longer.
        """
        begin, slot = time.monotonic(), None
        while True:
            slot, delay = self._delay(slot, priority, begin, max_wait)
            if delay < _TOLERANCE:
                return time.monotonic() - begin
            time.sleep(_nap(delay))

    async def wait_async(self, priority: Priority = Priority.WAIT, max_wait: float | None = None) -> float:
        """Async twin of :meth:`wait`."""
        begin, slot = time.monotonic(), None
        while True:
            # In a thread, because another process may hold the lock, or the store may be slow.
            slot, delay = await asyncio.to_thread(self._delay, slot, priority, begin, max_wait)
            if delay < _TOLERANCE:
                return time.monotonic() - begin
            await asyncio.sleep(_nap(delay))

    def block_for(self, seconds: float) -> None:
        """Send nothing for some seconds: the service has returned a 429."""
        self.store.block(self.rate, seconds)

    def _delay(self, slot: Slot | None, priority: Priority, begin: float, max_wait: float | None) -> tuple[Slot, float]:
        """Return the slot and the seconds until then. Reserve one if there is none, or if the store has lost it."""
        left = math.inf if max_wait is None else max_wait - (time.monotonic() - begin)
        delay = self.store.delay(self.rate, slot) if slot else None
        if slot is None or delay is None:
            slot, delay = self.store.reserve(self.rate, priority, left)
        if delay > left and delay >= _TOLERANCE:
            raise AgentRunsThrottledError(delay)
        return slot, delay


def _nap(delay: float) -> float:
    """Return how long to sleep before the slot is checked again, because the rate may recover meanwhile."""
    return min(delay, max(1.0, delay / 2))


_limiters: dict[tuple[str, str | None], Limiter] = {}


def limiter_for(settings: Settings) -> Limiter:
    """
    Return this process's limiter of an account. The rate of the last call applies to all its users.

    :raises AgentRunsConfigError: The package for the store is missing.
    """
    key = settings.account, settings.rate_limit_store
    if key not in _limiters:
        _limiters.setdefault(key, Limiter(settings.rate_limit, _store(settings)))
    limiter = _limiters[key]
    limiter.rate = settings.rate_limit
    return limiter


def _store(settings: Settings) -> Store:
    if not settings.rate_limit_store:
        return FileStore(settings.account)
    # Needs another package.
    from airflow_provider_agentruns.client.redis_store import RedisStore

    return RedisStore(settings.account, settings.rate_limit_store, settings.redact)
