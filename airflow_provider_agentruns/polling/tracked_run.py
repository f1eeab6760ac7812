# SPDX-License-Identifier: Apache-2.0
"""A run with its waiters, and when it is polled. Times are those of ``time.monotonic()``, in seconds."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_agentruns.models import RunStatus
from airflow_provider_agentruns.text import single_line

#: The outcome of a wait: ``{"status"}``, or ``{"error", "message"}`` with the name of an error class.
WaitResult = dict[str, str]
#: The ``log`` method of an Airflow logger: level, message, arguments, and structured fields as keyword arguments.
Log = Callable[..., Any]


@dataclass(eq=False, slots=True)
class Waiter:
    wait_for: Collection[str]
    #: The longest time that a change may go unnoticed.
    interval: float
    result: asyncio.Future[WaitResult]
    #: When the wait began. Responses requested earlier may be older than what the waiter knows.
    joined: float
    log: Log
    #: When the wait times out; infinite for never.
    end: float
    #: Until this time, a run that the service does not know may still appear.
    missing_until: float
    stream: bool
    #: The status that the waiter knows and has logged.
    seen: str

    def resolve(self, result: WaitResult) -> None:
        if not self.result.done():
            self.result.set_result(result)


@dataclass(eq=False, slots=True)
class TrackedRun:
    run_id: str
    #: When the latest wait began, or when the status was last seen to change.
    changed_at: float
    waiters: list[Waiter] = field(default_factory=list)
    #: The shortest interval and the earliest end of its waiters.
    interval: float = math.inf
    end: float = math.inf
    status: RunStatus | None = None
    #: When the latest successful read was requested.
    last_request_at: float = -math.inf
    #: When to read it individually or begin a round; infinite while that is in progress.
    next_poll_at: float = math.inf
    #: Until this time it is read individually, because the listing did not show it.
    single_until: float = -math.inf
    #: How many individual reads in a row have failed, and whether the waiters know of a failure.
    failures: int = 0
    warned: bool = False
    #: Whether an individual read is in progress, and whether a stream event asks for one.
    busy: bool = False
    woken: bool = False
    opening: bool = False

    @property
    def label(self) -> str:
        return single_line(self.run_id)

    @property
    def preferred_poll_at(self) -> float:
        return max(self.last_request_at, self.changed_at) + self.interval

    def add(self, waiter: Waiter) -> None:
        self.waiters.append(waiter)
        self.changed_at = max(self.changed_at, waiter.joined)
        self.opening = self.opening or waiter.stream
        self._summarize()

    def remove(self, waiter: Waiter) -> None:
        self.waiters.remove(waiter)
        self._summarize()

    def opened(self) -> None:
        """Poll at the waiters' interval, because the stream is open, or does not open soon."""
        self.opening = False
        self._summarize()

    def _summarize(self) -> None:
        # Until its stream is open, a run is polled at least every second.
        longest = 1.0 if self.opening else math.inf
        self.interval = min((longest, *(waiter.interval for waiter in self.waiters)))
        self.end = min((waiter.end for waiter in self.waiters), default=math.inf)
