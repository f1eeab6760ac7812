# SPDX-License-Identifier: Apache-2.0
"""
The rate limit of an account as a value, without I/O: assigns send times to requests, by priority.

One request is sent per slot of a little more than ``1 / rate`` seconds. Each cycle of 16 slots reserves one for starts
and one for waits, so that neither queues behind the other for long. An idle limiter sends the first request at once.

A 429 blocks all slots for a while and reduces the rate, which then recovers slowly. So machines without a common store
share the account's limit. ``rate_limit.lua`` does the same in Redis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import Enum


class Priority(Enum):
    """
    Which requests go first. The value lists the kinds of slots that a priority may use.

    ``START`` starts a run or answers a question, ``WAIT`` reads for a task (15/16 of the rate each), and ``PAGE`` reads
    for a page (3/16).
    """

    START = "SAP"
    WAIT = "WAP"
    PAGE = "P"


#: The kind of each slot of a cycle: S is for starts, W for waits, A for both, and P for all priorities.
CYCLE = "SAAAPAAAAAPAWAAP"

#: Wider slots keep requests apart that take up to 80 ms more or less to arrive, e.g. over a new connection.
MARGIN = 1.08

#: Two times are the same if they differ by less than this part of a slot.
TOLERANCE = 1e-6

#: The lowest share of the rate.
LOWEST_SHARE = 1 / 64

#: The share recovers by a 12th of itself and of this constant per second: from a half in 7 s, from the lowest in 21 s.
RECOVERY = 12.0
RECOVERY_BASE = 0.2


@dataclass(frozen=True)
class Slot:
    """
    A reserved slot.

    :param epoch: The epoch of the state that assigned it.
    """

    number: int
    epoch: float


@dataclass(frozen=True)
class RateState:
    """
    The slots of one account. The size does not depend on the number of reserved slots.

    A block or a lower rate moves reserved slots to a later time, in the same order.

    :param epoch: When the state was created, in seconds of the store's clock.
    :param updated_at: When the state last changed.
    :param anchor: Time of slot 0.
    :param gap: Seconds between two slots.
    :param free: The first free slot of each kind.
    :param share: The share of the rate in use at ``updated_at``.
    :param blocked_until: No slot is sooner.
    """

    epoch: float = 0.0
    updated_at: float = 0.0
    anchor: float = 0.0
    gap: float = 1.0
    free: dict[str, int] = field(default_factory=lambda: dict.fromkeys("SAPW", 0))
    share: float = 1.0
    blocked_until: float = -math.inf

    def assign(self, now: float, rate: float, priority: Priority) -> tuple[RateState, Slot]:
        """
        Reserve the first free slot that the priority may use.

        :param rate: Requests per second.
        :return: The new state, and the slot.
        """
        state, kinds, earliest = self.updated(now, rate), priority.value, max(now, self.blocked_until)
        anchor, gap, free, last = state.anchor, state.gap, state.free, max(state.free.values())
        # Rounding must not decide whether a slot has begun.
        if earliest >= anchor + (last - TOLERANCE) * gap:
            # Idle: move the slots so that one begins now.
            first = min(_first_slot(kind, last) for kind in kinds)
            anchor, free = earliest - first * gap, dict.fromkeys(free, first)
        begin = math.ceil((earliest - anchor) / gap - TOLERANCE)
        number, kind = min((_first_slot(kind, max(begin, free[kind])), kind) for kind in kinds)
        # The next slot would otherwise stay unused.
        if priority is not Priority.PAGE and (unused := CYCLE[begin % len(CYCLE)]) in "SW" and begin >= free[unused]:
            number, kind = begin, unused
        return replace(state, anchor=anchor, free={**free, kind: number + 1}), Slot(number, state.epoch)

    def block(self, now: float, rate: float, seconds: float, reduction: float) -> RateState:
        """
        Move all slots after a 429, by up to some seconds, and reduce the rate.

        429s during a block are responses to requests from before it, and do not reduce the rate again.

        :param reduction: The factor for the rate.
        """
        state, until = self.updated(now, rate), max(self.blocked_until, now + seconds)
        share = state.share if now < self.blocked_until else max(LOWEST_SHARE, state.share * reduction)
        anchor = state.anchor + until - max(now, self.blocked_until)
        return replace(state, anchor=anchor, share=share, blocked_until=until).updated(now, rate)

    def delay(self, slot: Slot, now: float) -> float | None:
        """Return the seconds until a reserved slot, or None if this state did not assign it, perhaps after a crash."""
        known = slot.epoch == self.epoch and slot.number < max(self.free.values())
        return max(0.0, self.anchor + slot.number * self.gap - now) if known else None

    def updated(self, now: float, rate: float) -> RateState:
        """Let the share recover, and adapt the distance of the slots from now on, or from the end of the block."""
        growth = math.exp(min(max(0.0, now - self.updated_at), 60.0) / RECOVERY)
        share = min(1.0, (self.share + RECOVERY_BASE) * growth - RECOVERY_BASE)
        gap, begin = MARGIN / (rate * share), max(now, self.blocked_until)
        anchor = begin - (begin - self.anchor) * gap / self.gap
        return replace(self, epoch=self.epoch or now, updated_at=now, anchor=anchor, gap=gap, share=share)


def _first_slot(kind: str, number: int) -> int:
    while CYCLE[number % len(CYCLE)] != kind:
        number += 1
    return number
