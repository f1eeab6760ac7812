# SPDX-License-Identifier: Apache-2.0
"""A run with its waiters, and when it was and will be polled."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_agentruns.models import RunStatus
from airflow_provider_agentruns.text import single_line

#: The outcome of a wait: ``{"status"}``, or ``{"error", "message"}`` with the name of an error class.
WaitResult = dict[str, str]

#: Logs a message: its level, the message, its arguments, and structured fields as keyword arguments.
Log = Callable[..., Any]


@dataclass(eq=False, slots=True)
class Waiter:
    """
    One wait for a run. Times are those of ``time.monotonic()``.

    :param wait_for: The statuses that end the wait. A run that has ended always ends it.
    :param interval: The longest time that a change may go unnoticed, in seconds.
    :param resolve: Receives the outcome, once at most.
    :param joined: When the wait began. Responses requested earlier may be older than what the waiter knows.
    :param log: Logs to where the waiter's other messages go.
    :param end: When the wait times out; infinite for never.
    :param missing_until: Until this time, a run that the service does not know may still appear.
    :param seen: The status that the waiter knows and has logged.
    """

    wait_for: frozenset[str]
    interval: float
    resolve: Callable[[WaitResult], None]
    joined: float
    log: Log
    end: float = math.inf
    missing_until: float = -math.inf
    stream: bool = False
    seen: str | None = None
    #: Whether the service has rejected the token since the last successful read for this waiter.
    token_rejected: bool = False


class TrackedRun:
    """A run that has one or more waiters."""

    __slots__ = (
        "busy",
        "changed_at",
        "end",
        "failures",
        "interval",
        "last_request_at",
        "next_poll_at",
        "preferred_poll_at",
        "run_id",
        "single_until",
        "status",
        "unlisted_for",
        "waiters",
        "warned",
        "woken",
    )

    def __init__(self, run_id: str, now: float) -> None:
        self.run_id = run_id
        self.waiters: list[Waiter] = []
        #: The shortest interval and the earliest end of its waiters.
        self.interval = math.inf
        self.end = math.inf
        self.status: RunStatus | None = None
        #: When the latest wait began, or when the status was last seen to change.
        self.changed_at = now
        #: When the latest successful read was requested.
        self.last_request_at = -math.inf
        #: When it must be polled, and when it would be good to if there are few runs.
        self.next_poll_at = math.inf
        self.preferred_poll_at = math.inf
        #: Until this time it is read individually, because the listing did not show it.
        self.single_until = -math.inf
        self.unlisted_for = 0.0
        #: How many reads in a row have failed, and whether the waiters were warned.
        self.failures = 0
        self.warned = False
        #: Whether a read of this run is in progress, and whether a stream event asks for one.
        self.busy = False
        self.woken = False

    @property
    def label(self) -> str:
        """The ID for messages, which may hold no line breaks or control characters."""
        return single_line(self.run_id)

    def add(self, waiter: Waiter) -> None:
        """Add a waiter."""
        self.waiters.append(waiter)
        self.changed_at = max(self.changed_at, waiter.joined)
        self._summarize()

    def remove(self, waiter: Waiter) -> None:
        """Remove a waiter, unless it was removed before."""
        if waiter in self.waiters:
            self.waiters.remove(waiter)
            self._summarize()

    def _summarize(self) -> None:
        if len(self.waiters) == 1:
            # The usual case, with thousands of runs.
            self.interval, self.end = self.waiters[0].interval, self.waiters[0].end
        elif self.waiters:
            self.interval = min(waiter.interval for waiter in self.waiters)
            self.end = min(waiter.end for waiter in self.waiters)
