# SPDX-License-Identifier: Apache-2.0
"""
Spacing requests out, so that the service's limit is never met.

Asking too fast and being told so costs an answer of 429 and a pause; asking at the right pace costs nothing.
All clients of one account on a machine share one schedule, sync and async, in whatever process, thread or loop:
Airflow runs each task in a process of its own, and a thousand of them may start at once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_agentruns.client.machine import SharedFile
from airflow_provider_agentruns.client.schedule import SIZE, Schedule

_pacers: dict[str, Pacer] = {}

# After so many new accounts all files are closed, and opened again where they are needed. Most processes know one
# account; one that goes through hundreds must not run out of descriptors.
_MANY = 16

# One for all of the process. A task that is killed sends a last request from a signal's handler, maybe in the
# middle of reserving: two requests too close to each other are better than one that waits for itself.
_lock = threading.RLock()


class Pacer:
    """
    Hands out moments to send at, at most ``rate`` of them a second.

    :param rate: Requests per second.
    :param file: Where the other processes find what is reserved here; None keeps it within this process.
    """

    def __init__(self, rate: float, file: SharedFile | None = None) -> None:
        self._schedule = Schedule()
        self._file = file
        # Whether the schedule has what the file has not.
        self._ahead = False
        self.set_rate(rate)

    def set_rate(self, rate: float) -> None:
        """Space what is reserved from now on for ``rate`` requests per second."""
        self._rate = rate

    def reserve(self, *, urgent: bool = False) -> float:
        """
        Reserve the next moment to send at, and return how many seconds it is away.

        :param urgent: Whether this is one of the few requests whose latency counts. It goes at once if fewer than
            the rate allows are sent within a second, instead of at an even distance from the one before.
        """
        with self._shared() as now:
            return self._schedule.reserve(now, self._rate, urgent) - now

    def hold(self, seconds: float) -> None:
        """Let nobody send for some seconds, however urgent: the service has said that it is too much."""
        with self._shared() as now:
            self._schedule.hold(now, seconds)

    def close_file(self) -> None:
        """Close the file until it is needed again."""
        if self._file:
            self._file.close()

    @contextmanager
    def _shared(self) -> Iterator[float]:
        """
        Bring the schedule up to date, and let others know what is done to it; yields the time.

        Where the file is not to be had, the process goes on by what it knows, and tells the others later.
        """
        with _lock:
            if self._file is None:
                yield time.monotonic()
                return
            try:
                content = self._file.take()
                # Not before: who gets the file later must not have the earlier time.
                now = time.monotonic()
                if content is not None:
                    self._catch_up(Schedule.unpack(content, now))
                yield now
                self._ahead = not self._file.put(self._schedule.pack(now))
            finally:
                self._file.release()

    def _catch_up(self, shared: Schedule | None) -> None:
        if shared is None:
            return
        # The file falls behind by itself, too, where a process that had been stopped finishes its writing.
        if self._ahead or self._schedule.next > shared.next:
            shared.merge(self._schedule)
        self._schedule = shared


def pacer_for(account: str, rate: float) -> Pacer:
    """
    Return the one pacer of an account in this process, which goes by what other processes reserve.

    :param account: What tells accounts apart; never the token itself.
    :param rate: Requests per second. The last caller's counts, so that an edited connection takes effect. Each
        process spaces by its own what it reserves.
    """
    with _lock:
        pacer = _pacers.get(account)
        if pacer is None:
            if len(_pacers) % _MANY == 0:
                _close_files()
            pacer = _pacers[account] = Pacer(rate, SharedFile(account, SIZE))
        else:
            pacer.set_rate(rate)
        return pacer


def _after_fork() -> None:
    """Undo what a forked process has in common with its parent: a lock that may be held, files that are one."""
    global _lock
    _lock = threading.RLock()
    _close_files()


def _close_files() -> None:
    for pacer in _pacers.values():
        pacer.close_file()


os.register_at_fork(after_in_child=_after_fork)
