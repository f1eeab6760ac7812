# SPDX-License-Identifier: Apache-2.0
"""
Spacing requests out, so that the service's limit is never met.

Asking too fast and being told so costs an answer of 429 and a pause; asking at the right pace costs nothing.
All clients of one account in a process share one :class:`Pacer`, sync and async, in whatever thread or loop.
"""

from __future__ import annotations

import threading
import time

# A request's way to the service varies by some milliseconds. Spaced a little wider than the limit asks, they
# do not bunch up on arrival.
_MARGIN = 1.05

_pacers: dict[str, Pacer] = {}
_pacers_lock = threading.Lock()


class Pacer:
    """
    Hands out moments to send at, at most ``rate`` of them a second.

    :param rate: Requests per second.
    """

    def __init__(self, rate: float) -> None:
        self._lock = threading.Lock()
        self._next = 0.0
        self._interval = 0.0
        self.set_rate(rate)

    def set_rate(self, rate: float) -> None:
        """Space what is reserved from now on for ``rate`` requests per second."""
        self._interval = _MARGIN / rate

    def reserve(self) -> float:
        """Reserve the next moment to send at, and return how many seconds it is away."""
        with self._lock:
            now = time.monotonic()
            moment = max(now, self._next)
            self._next = moment + self._interval
            return moment - now

    def hold(self, seconds: float) -> None:
        """Let nobody send for some seconds: the service has said that it is too much."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


def pacer_for(account: str, rate: float) -> Pacer:
    """
    Return the one pacer of an account in this process.

    :param account: What tells accounts apart; never the token itself.
    :param rate: Requests per second. The last caller's counts, so that an edited connection takes effect.
    """
    with _pacers_lock:
        pacer = _pacers.get(account)
        if pacer is None:
            pacer = _pacers[account] = Pacer(rate)
        else:
            pacer.set_rate(rate)
        return pacer
