# SPDX-License-Identifier: Apache-2.0
"""Delays the requests of a process until their send times, which a store assigns for all processes of an account."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Protocol

from airflow_provider_agentruns.client.connection_settings import Settings
from airflow_provider_agentruns.client.file_store import FileStore
from airflow_provider_agentruns.client.request_queue import Priority, Ticket
from airflow_provider_agentruns.exceptions import AgentRunsThrottledError

#: A ticket counts as served this many seconds early, because a process cannot sleep more exactly.
_TOLERANCE = 0.001


class Store(Protocol):
    """Keeps the queues that all processes of an account share. Its calls may block for up to a few seconds."""

    #: Why another store replaces this one at present.
    problem: str | None

    def reserve(self, rate: float, priority: Priority, max_delay: float) -> tuple[Ticket, float]:
        """Return a ticket and the seconds until it is served. Reserve it if they are at most ``max_delay``."""

    def delay(self, rate: float, ticket: Ticket) -> float | None:
        """Return the seconds until a ticket is served, or None if the store has lost it."""

    def block(self, rate: float, seconds: float) -> None:
        """Serve no ticket for some seconds after a 429."""


class Limiter:
    """Keeps all users of a store to ``rate`` requests per second. Safe in threads, event loops, and forks."""

    def __init__(self, rate: float, store: Store) -> None:
        self.rate = rate
        self.store = store

    def wait(self, priority: Priority = Priority.WAIT, max_wait: float | None = None) -> float:
        """
        Sleep until a request may be sent, and return the delay in seconds.

        :raises AgentRunsThrottledError: If the delay would exceed ``max_wait`` seconds.
        """
        begin, ticket = time.monotonic(), None
        while True:
            ticket, delay = self._delay(ticket, priority, begin, max_wait)
            if delay < _TOLERANCE:
                return time.monotonic() - begin
            time.sleep(_nap(delay))

    async def wait_async(self, priority: Priority = Priority.WAIT, max_wait: float | None = None) -> float:
        """Async twin of :meth:`wait`."""
        begin, ticket = time.monotonic(), None
        while True:
            # In a thread, because another process may hold the lock, or the store may be slow.
            ticket, delay = await asyncio.to_thread(self._delay, ticket, priority, begin, max_wait)
            if delay < _TOLERANCE:
                return time.monotonic() - begin
            await asyncio.sleep(_nap(delay))

    def block_for(self, seconds: float) -> None:
        """Send nothing for some seconds: the service has returned a 429."""
        self.store.block(self.rate, seconds)

    def _delay(
        self, ticket: Ticket | None, priority: Priority, begin: float, max_wait: float | None
    ) -> tuple[Ticket, float]:
        """Return the ticket and its delay in seconds. Reserve one if there is none, or if the store has lost it."""
        left = math.inf if max_wait is None else max_wait - (time.monotonic() - begin)
        delay = self.store.delay(self.rate, ticket) if ticket else None
        if ticket is None or delay is None:
            ticket, delay = self.store.reserve(self.rate, priority, left)
        if delay > left and delay >= _TOLERANCE:
            raise AgentRunsThrottledError(delay)
        return ticket, delay


def _nap(delay: float) -> float:
    """Return how long to sleep before the ticket is checked again, because the rate may recover meanwhile."""
    return min(delay, max(1.0, delay / 2))


_limiters: dict[tuple[str, str | None], Limiter] = {}


def limiter_for(settings: Settings) -> Limiter:
    """Return this process's limiter of an account. The rate of the last call applies to all its users."""
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
