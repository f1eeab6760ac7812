# SPDX-License-Identifier: Apache-2.0
"""
The rate limit of an account as a value, without I/O: a queue of tickets for each priority.

One ticket is served every ``1 / rate`` seconds and a little more: the oldest one of the highest priority. Each cycle of
16 also serves two waits and one page before all others, so that no queue stops. If no ticket waits, the next one is
served at once.

A 429 stops all queues for a while and reduces the rate, which then recovers slowly. So machines without a common store
share the account's limit. ``rate_limit.lua`` does the same in Redis.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import islice


class Priority(Enum):
    """Which requests go first: starts and answers, then reads for a task, then reads for a page."""

    START = "S"
    WAIT = "W"
    PAGE = "P"


#: The order in which the queues are served, for each number of a cycle.
CYCLE = ("WSP", *["SWP"] * 3, "PSW", *["SWP"] * 3, "WSP", *["SWP"] * 7)
#: Factor for the gap between requests, which can take up to 80 ms more or less to arrive, e.g. over a new connection.
MARGIN = 1.08
#: Two times are the same if they differ by less than this part of the gap between two requests.
TOLERANCE = 1e-6
#: The lowest share of the rate.
LOWEST_SHARE = 1 / 64
#: The share recovers by a 12th of itself and of this constant per second: from a half in 7 s, from the lowest in 21 s.
RECOVERY = 12.0
RECOVERY_BASE = 0.2


@dataclass(frozen=True)
class Ticket:
    """A place in a queue, and the epoch of the state that issued it."""

    priority: Priority
    number: int
    epoch: float


@dataclass(frozen=True)
class RequestQueue:
    """
    The queues of one account. The size does not depend on the number of tickets. Rates are in requests per second.

    :param epoch: When the state was created, in seconds of the store's clock.
    :param next_at: The earliest time to serve the next ticket.
    :param gap: Seconds between two tickets.
    :param issued: The number of tickets of each queue so far.
    :param served: How many of them have been served. Dead processes also have tickets, which are served in vain.
    :param share: The share of the rate in use at ``updated_at``.
    :param blocked_until: No ticket is served sooner.
    """

    epoch: float = 0.0
    updated_at: float = 0.0
    next_at: float = 0.0
    gap: float = 1.0
    issued: dict[str, int] = field(default_factory=lambda: dict.fromkeys("SWP", 0))
    served: dict[str, int] = field(default_factory=lambda: dict.fromkeys("SWP", 0))
    share: float = 1.0
    blocked_until: float = -math.inf

    def issue(self, now: float, rate: float, priority: Priority) -> tuple[RequestQueue, Ticket]:
        """Add a ticket to the queue of a priority. Return the new state and the ticket."""
        state, queue = self.updated(now, rate), priority.value
        number = state.issued[queue]
        # Time without tickets allows no burst afterwards.
        next_at = max(state.next_at, now) if state.issued == state.served else state.next_at
        state = replace(state, next_at=next_at, issued={**state.issued, queue: number + 1})
        return state.updated(now, rate), Ticket(priority, number, state.epoch)

    def block(self, now: float, rate: float, seconds: float, reduction: float) -> RequestQueue:
        """
        Serve no ticket for some seconds after a 429, and multiply the rate by ``reduction``.

        429s during a block are responses to requests from before it, and do not reduce the rate again.
        """
        state, until = self.updated(now, rate), max(self.blocked_until, now + seconds)
        share = state.share if now < self.blocked_until else max(LOWEST_SHARE, state.share * reduction)
        next_at = max(state.next_at, until)
        return replace(state, next_at=next_at, share=share, blocked_until=until).updated(now, rate)

    def delay(self, ticket: Ticket, now: float) -> float | None:
        """Return the seconds until a ticket is served if no higher priority follows; None if the state lacks it."""
        queue = ticket.priority.value
        if ticket.epoch != self.epoch or ticket.number >= self.issued[queue]:
            return None
        before = ticket.number - self.served[queue]
        if before < 0:
            return 0.0
        times = (at for at, served in self._schedule() if served == queue)
        return max(0.0, next(islice(times, before, None)) - now)

    def updated(self, now: float, rate: float) -> RequestQueue:
        """Serve the tickets that are due, and let the share recover."""
        served, next_at = dict(self.served), self.next_at
        for at, queue in self._schedule():
            if at > now + TOLERANCE * self.gap:
                break
            served[queue] += 1
            next_at = at + self.gap
        growth = math.exp(min(max(0.0, now - self.updated_at), 60.0) / RECOVERY)
        share = min(1.0, (self.share + RECOVERY_BASE) * growth - RECOVERY_BASE)
        gap = MARGIN / (rate * share)
        next_at = min(next_at, max(now, self.blocked_until) + gap)
        return replace(
            self, epoch=self.epoch or now, updated_at=now, next_at=next_at, gap=gap, served=served, share=share
        )

    def _schedule(self) -> Iterator[tuple[float, str]]:
        """Yield when each waiting ticket is served, and its queue."""
        at, first = self.next_at, sum(self.served.values())
        waiting = {queue: self.issued[queue] - served for queue, served in self.served.items()}
        for number in range(first, first + sum(waiting.values())):
            queue = next(queue for queue in CYCLE[number % len(CYCLE)] if waiting[queue])
            yield at, queue
            waiting[queue] -= 1
            at += self.gap
