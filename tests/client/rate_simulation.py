# SPDX-License-Identifier: Apache-2.0
"""Machines that share the limit of an account, in virtual time: the real queues, behind a service that counts."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from airflow_provider_agentruns.client.file_store import _JITTER, _REDUCTION
from airflow_provider_agentruns.client.limiter import _nap
from airflow_provider_agentruns.client.request_queue import Priority, RequestQueue

LIMIT = 20


class SlidingWindow:
    """Grants 20 requests in any second."""

    def __init__(self) -> None:
        self._granted: deque[float] = deque()

    def grant(self, now: float) -> bool:
        while self._granted and self._granted[0] <= now - 1.0:
            self._granted.popleft()
        granted = len(self._granted) < LIMIT
        if granted:
            self._granted.append(now)
        return granted


class FixedWindows:
    """Grants 20 requests in each second of the clock."""

    def __init__(self) -> None:
        self._second, self._granted = -1, 0

    def grant(self, now: float) -> bool:
        if int(now + 0.37) != self._second:
            self._second, self._granted = int(now + 0.37), 0
        self._granted += 1
        return self._granted <= LIMIT


class TokenBucket:
    """Grants a burst of 20 requests, and 20 per second afterwards."""

    def __init__(self) -> None:
        self._tokens, self._at = float(LIMIT), 0.0

    def grant(self, now: float) -> bool:
        self._tokens, self._at = min(LIMIT, self._tokens + (now - self._at) * LIMIT), now
        granted = self._tokens >= 1
        self._tokens -= granted
        return granted


Service = SlidingWindow | FixedWindows | TokenBucket


class Machine:
    """A machine with its own store."""

    def __init__(self, simulation: Simulation) -> None:
        self._all = simulation
        self.state = RequestQueue()

    def request(self) -> Iterator[float]:
        """Send a request until it gets no 429. Yield the seconds to sleep."""
        everything = self._all
        while True:
            self.state, ticket = self.state.issue(everything.now, LIMIT, Priority.WAIT)
            while delay := self.state.delay(ticket, everything.now):
                yield _nap(delay)
                self.state = self.state.updated(everything.now, LIMIT)
            latency = everything.chance.uniform(0.005, 0.03)
            yield latency
            granted = everything.service.grant(everything.now)
            yield latency
            if granted:
                everything.granted += 1
                return
            everything.rejected += 1
            pause = 1.0 + everything.chance.uniform(0.0, _JITTER)
            self.state = self.state.block(everything.now, LIMIT, pause, _REDUCTION)


class Simulation:
    """
    Runs the processes of several machines.

    :param service: Creates the service.
    """

    def __init__(self, service: Callable[[], Service], seed: int) -> None:
        self.service = service()
        self.chance = random.Random(seed)  # noqa: S311
        self.now = 1000.0
        self.granted = self.rejected = 0

    def run(self, processes: Iterable[Iterator[float]], seconds: float = 3600.0) -> float:
        """Run processes until all have ended, or for some seconds. Return the seconds that it took."""
        begin, order = self.now, itertools.count()
        agenda = [(begin + self.chance.random() * 0.2, next(order), process) for process in processes]
        heapq.heapify(agenda)
        while agenda and agenda[0][0] < begin + seconds:
            self.now, _, process = heapq.heappop(agenda)
            if (pause := next(process, None)) is not None:
                heapq.heappush(agenda, (self.now + pause, next(order), process))
        return self.now - begin

    @property
    def share_rejected(self) -> float:
        return self.rejected / (self.granted + self.rejected)


def task(machine: Machine, calls: int) -> Iterator[float]:
    for _ in range(calls):
        yield from machine.request()


def poller(machine: Machine, pause: float) -> Iterator[float]:
    while True:
        yield from machine.request()
        yield pause
