# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of pacing: which moment is the next to send at, and how a schedule is written down."""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_right, insort
from collections import Counter
from math import inf

# A request's way to the service varies by some milliseconds. Spaced a little wider than the limit asks, they
# do not bunch up on arrival.
_MARGIN = 1.05

# How many moments are remembered, and so up to which rate an urgent request can be told from others. Above it,
# requests are less than 6 ms apart, and to jump ahead of one gains nothing.
_REMEMBERED = 200

_CHECKSUM = 4

#: The bytes of a schedule that is written down. They are fewer than a page of memory, which a process that is
#: killed writes as a whole or not at all.
SIZE = 8 * (3 + _REMEMBERED) + _CHECKSUM


class Schedule:
    """The moments of one account's requests, all by the same monotonic clock."""

    def __init__(self) -> None:
        self.next = -inf
        self.held_until = -inf
        # In order, and always as many; what is not there yet is infinitely long ago.
        self.moments = array("d", [-inf]) * _REMEMBERED

    def reserve(self, now: float, rate: float, urgent: bool) -> float:
        """
        Reserve a moment, and return it.

        An urgent request goes at once where that makes no more of them than ``rate`` within a second. What it
        takes is given back by the ordinary ones behind it, so that as many are sent in the long run.

        :param now: What the clock says.
        :param rate: Requests per second.
        :param urgent: Whether to do without the spacing, if possible.
        """
        moment = now if urgent and self._has_room(now, rate) else max(now, self.next)
        self.next = max(self.next, moment) + _MARGIN / rate
        insort(self.moments, moment)
        del self.moments[0]
        return moment

    def hold(self, now: float, seconds: float) -> None:
        """Reserve no moment within the next seconds."""
        self.held_until = max(self.held_until, now + seconds)
        self.next = max(self.next, self.held_until)

    def merge(self, other: Schedule) -> None:
        """Add what another schedule of the same account knows."""
        self.next = max(self.next, other.next)
        self.held_until = max(self.held_until, other.held_until)
        # What both know is counted once.
        every = Counter(self.moments) | Counter(other.moments)
        self.moments = array("d", sorted(every.elements())[-_REMEMBERED:])

    def pack(self, now: float) -> bytes:
        """Write the schedule down, with the time and a checksum."""
        body = array("d", (now, self.next, self.held_until)).tobytes() + self.moments.tobytes()
        return body + zlib.crc32(body).to_bytes(_CHECKSUM, "little")

    @classmethod
    def unpack(cls, content: bytes, now: float) -> Schedule | None:
        """
        Read what was written down; None if that is of no use.

        No use are bytes that make no schedule, and one that was written later than now: the clock began anew
        since, or it is another machine's. How far ahead the moments lie says nothing: a thousand requests
        that wait for a slow service may well reach hours ahead.
        """
        body, checksum = content[:-_CHECKSUM], content[-_CHECKSUM:]
        if len(content) != SIZE or zlib.crc32(body).to_bytes(_CHECKSUM, "little") != checksum:
            return None
        values = array("d", body)
        if values[0] > now:
            return None
        schedule = cls()
        schedule.next, schedule.held_until, schedule.moments = values[1], values[2], values[3:]
        return schedule

    def _has_room(self, now: float, rate: float) -> bool:
        if rate > _REMEMBERED or now < self.held_until:
            return False
        # A second, or longer where not even one may be sent within a second. What is reserved ahead counts as well.
        # Ordinary ones that come later need no such look: each reservation puts them off by one distance.
        window = _MARGIN * max(1.0, 1.0 / rate)
        reserved = _REMEMBERED - bisect_right(self.moments, now - window)
        return reserved < max(1, int(rate))
