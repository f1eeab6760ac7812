# SPDX-License-Identifier: Apache-2.0
"""When the poller may send its next request: within a share of the rate limit, and rarely during an outage."""

from __future__ import annotations

import math

from airflow_provider_agentruns.client.retries import backoff

#: The usual fraction of the rate limit, which leaves most of it to the workers, and the largest, if polls are late.
_USUAL_SHARE = 0.45
_LARGEST_SHARE = 0.8

#: After this many failures in a row, all requests pause; at most for this many seconds.
_FAILURES_UNTIL_PAUSE = 3
_LONGEST_PAUSE = 60.0


class RequestRate:
    """Spaces the requests of one poller."""

    def __init__(self, now: float) -> None:
        #: Requests per second. May change at any time, because the connection may be edited.
        self.limit = 20.0
        #: How many requests in a row have failed.
        self.failures = 0
        self._sent_at = -math.inf
        self._paused_until = now
        self._failed_at = now

    def next_request_at(self, *, urgent: bool) -> float:
        """Return when the next request may be sent, which is sooner if it is urgent."""
        share = _LARGEST_SHARE if urgent else _USUAL_SHARE
        return max(self._sent_at + 1.0 / (self.limit * share), self._paused_until)

    def request_sent(self, now: float) -> None:
        """Delay the next request."""
        self._sent_at = now

    def failed(self, interval: float, requested_at: float, now: float) -> None:
        """Pause after three failures in a row, longer each time."""
        if requested_at < self._failed_at:
            # Requests in progress together fail together and count once.
            return
        self._failed_at = now
        self.failures += 1
        if self.failures >= _FAILURES_UNTIL_PAUSE:
            pause = backoff(self.failures - _FAILURES_UNTIL_PAUSE + 1, interval, _LONGEST_PAUSE)
            self._paused_until = max(self._paused_until, now + pause)
