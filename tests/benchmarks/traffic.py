# SPDX-License-Identifier: Apache-2.0
"""What came to the services: how much, how fast, and whether it was too fast."""

from __future__ import annotations

import time
from collections import deque


class Traffic:
    """
    Counts requests, and refuses some.

    :param limit: How many may come within one second; None allows any number.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._came: list[float] = []
        self._passed: deque[float] = deque()
        self.refused = 0

    def is_too_much(self) -> bool:
        """Count a request, and return whether it has to be refused."""
        now = time.monotonic()
        self._came.append(now)
        if self._limit is None:
            return False
        while self._passed and self._passed[0] <= now - 1:
            self._passed.popleft()
        if len(self._passed) >= self._limit:
            self.refused += 1
            return True
        self._passed.append(now)
        return False

    @property
    def requests(self) -> int:
        """How many came, with those that were refused."""
        return len(self._came)

    @property
    def busiest_second(self) -> int:
        """The most that came within one second."""
        most = first = 0
        for last, moment in enumerate(self._came):
            while self._came[first] <= moment - 1:
                first += 1
            most = max(most, last - first + 1)
        return most
