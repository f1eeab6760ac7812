# SPDX-License-Identifier: Apache-2.0
"""When the poller may send its next request: within a share of the rate limit, and rarely during an outage."""

from __future__ import annotations

import math

from airflow_provider_agentruns.client.retries import backoff
from airflow_provider_agentruns.polling.tracked_run import TrackedRun

#: The usual fraction of the rate limit, which leaves most of it to the workers, and the largest, if polls are late.
_USUAL_SHARE = 0.45
_LARGEST_SHARE = 0.8

#: The share grows if a poll is late by this fraction of the interval, and shrinks if it is late by less than this.
_LATE = 0.5
_ON_TIME = 0.2

#: After this many failures in a row, all requests pause; at most for this many seconds.
_FAILURES_UNTIL_PAUSE = 3
_LONGEST_PAUSE = 60.0


class RequestRate:
    """Spaces the requests of one poller."""

    def __init__(self, limit: float, now: float) -> None:
        #: May change at any time, because the connection may be edited.
        self.limit = limit
        #: Whether polls are late although the poller uses all that it may of the limit.
        self.overdue = False
        #: How many requests in a row have failed.
        self.failures = 0
        self._share = _USUAL_SHARE
        self._sent_at = -math.inf
        self._next_request_at = now
        self._paused_until = now
        self._failed_at = now

    @property
    def next_at(self) -> float:
        """When the next request may be sent."""
        return max(self._next_request_at, self._paused_until)

    @property
    def next_urgent_at(self) -> float:
        """When the next read may be sent that a stream event asks for."""
        return max(self._sent_at + 1.0 / (self.limit * _LARGEST_SHARE), self._paused_until)

    def request_sent(self, now: float) -> None:
        """Delay the next request."""
        self._sent_at = now
        self._next_request_at = now + 1.0 / (self.limit * self._share)

    def adjust(self, run: TrackedRun, now: float) -> None:
        """Use more of the limit if the poll of a run is late, and less if it is on time."""
        if run.failures or now <= self._paused_until + run.interval:
            # An outage made it late, not the limit.
            return
        late = now - run.next_poll_at
        if late > _LATE * run.interval:
            self.overdue = self._share == _LARGEST_SHARE
            self._share = min(_LARGEST_SHARE, self._share * 1.1)
        elif late < _ON_TIME * run.interval:
            self.overdue = False
            self._share = max(_USUAL_SHARE, self._share * 0.98)

    def succeeded(self) -> None:
        """Note that the service has responded."""
        self.failures = 0

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
