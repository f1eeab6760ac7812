# SPDX-License-Identifier: Apache-2.0
"""
How many of the connection's requests a watch takes, and how soon a run is looked at again.

A watch makes do with less than half of the connection's rate limit, so that workers, who start runs and send
answers, always get through. Only when it falls behind what its waiters want does it take more. Within that, a
run that has just been started or has just changed is looked at more often where that costs little.
"""

from __future__ import annotations

#: The part of the limit that a watch takes while that is enough, and the most that it ever takes.
_USUAL_SHARE = 0.45
_LARGEST_SHARE = 0.9

#: By which part of its interval a look may be late before the share grows, and shrinks again.
_LATE = 0.5
_IN_TIME = 0.2

#: The part of the limit within which looks are taken sooner than they have to be, and its most in requests per second.
_QUICK_SHARE = 0.05
_QUICK_MOST = 1.0
_QUICK_BURST = 3.0

#: What all waiters need comes in waves. Between two of them it is not forgotten that they have used up that part.
_QUICK_DEBT = 20.0

#: The part of the limit, in seconds of it at once and per second, within which hints are followed at once.
_HINT_SHARE = 0.5

#: The shortest time between two looks at a run, in seconds, unless its waiters want it shorter.
_QUICKEST = 0.5

#: A run is looked at again after this part of the time for which it has been as it is.
_QUICK_PART = 0.25


def quick_interval(age: float, interval: float) -> float:
    """
    Return after how many seconds it would be good to look at a run again.

    :param age: For how long it has been as it is, in seconds.
    :param interval: After how many it has to be looked at.
    """
    return min(interval, max(_QUICKEST, age * _QUICK_PART))


class Pace:
    """
    Says when the next request may be sent, and whether for a look that could wait.

    :param limit: The connection's requests per second.
    """

    def __init__(self, limit: float, now: float) -> None:
        #: The connection's requests per second; it may be edited while the watch runs.
        self.limit = limit
        self._share = _USUAL_SHARE
        self._free_at = now
        self._hints = limit * _HINT_SHARE
        self._hints_at = now
        self._quick = _QUICK_BURST
        self._quick_at = now

    @property
    def free_at(self) -> float:
        """When the next request may be sent."""
        return self._free_at

    def quick_at(self, now: float) -> float:
        """When a request may be sent for a look that could wait."""
        self._refill(now)
        missing = max(0.0, 1.0 - 1e-9 - self._quick)
        return max(self._free_at, now + missing / self._quick_rate)

    def hint_at(self, now: float) -> float:
        """When a request may be sent to follow a hint: it does not wait for the turn of others, nor hold them up."""
        most = max(1.0, self.limit * _HINT_SHARE)
        self._hints = min(most, self._hints + max(0.0, now - self._hints_at) * self.limit * _HINT_SHARE)
        self._hints_at = max(now, self._hints_at)
        # A trifle less than one whole, lest rounding keep it from ever being reached.
        return now + max(0.0, 1.0 - 1e-9 - self._hints) / (self.limit * _HINT_SHARE)

    def hint(self, now: float) -> None:
        """Count a request that follows a hint."""
        self._hints -= 1.0

    def send(self, now: float) -> None:
        """Count a request that is sent now."""
        self._free_at = max(self._free_at, now) + 1.0 / (self.limit * self._share)
        self._refill(now)
        self._quick = max(-_QUICK_DEBT, self._quick - 1.0)

    def looked(self, late: float, interval: float) -> bool:
        """
        Take more of the limit, or less again, by how late a look was.

        :param late: By how many seconds.
        :param interval: How many seconds were wanted between two looks.
        :return: Whether the limit allows no more, and looks are late all the same.
        """
        if late > _LATE * interval:
            self._share = min(_LARGEST_SHARE, self._share * 1.1)
            return self._share == _LARGEST_SHARE
        if late < _IN_TIME * interval:
            self._share = max(_USUAL_SHARE, self._share * 0.98)
        return False

    @property
    def _quick_rate(self) -> float:
        return min(_QUICK_MOST, self.limit * _QUICK_SHARE)

    def _refill(self, now: float) -> None:
        self._quick = min(_QUICK_BURST, self._quick + max(0.0, now - self._quick_at) * self._quick_rate)
        self._quick_at = max(now, self._quick_at)
