# SPDX-License-Identifier: Apache-2.0
"""
The rate limit of an account: assigns each request a send time, by priority.

One request is sent per slot of a little more than ``1 / rate`` seconds. Each cycle of 16 slots reserves some for starts
and one for waits, so that neither queues behind the other for long. An idle limiter sends the first request at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Protocol

from airflow_provider_agentruns.exceptions import AgentRunsThrottledError

log = logging.getLogger(__name__)


class Priority(Enum):
    """
    Which requests go first. The value lists the kinds of slots that a priority may use.

    ``START`` starts a run or answers a question (15/16 of the rate), ``WAIT`` reads for a task (14/16), and ``PAGE``
    reads for a page (3/16).
    """

    START = "SAP"
    WAIT = "WAP"
    PAGE = "P"


#: The kind of each slot of a cycle: S is for starts, W for waits, A for both, and P for all priorities.
_CYCLE = "SAAAPAAASAPAWAAP"

#: Wider slots keep requests apart that take some milliseconds more or less to arrive.
_MARGIN = 1.05

#: Seconds to wait for the file's lock. A process usually holds it for less than a millisecond.
_LOCK_TIMEOUT = 2.0

#: Seconds without the shared file after a failure.
_RETRY_FILE_AFTER = 10.0


@dataclass(frozen=True)
class RateState:
    """
    The reserved slots of one account. Its size does not depend on the number of queued requests.

    :param gap: Seconds between two slots.
    :param anchor: Time of slot 0, in seconds of the store's clock.
    :param free: The first free slot of each kind.
    :param blocked_until: No slot is assigned before this time.
    """

    gap: float = 1.0
    anchor: float = 0.0
    free: dict[str, int] = field(default_factory=lambda: dict.fromkeys("SAPW", 0))
    blocked_until: float = 0.0

    def assign(self, now: float, rate: float, priority: Priority) -> tuple[RateState, float]:
        """
        Assign the first free slot that the priority may use.

        :param rate: Requests per second.
        :return: The new state and the time of the slot.
        """
        gap, earliest, kinds = _MARGIN / rate, max(now, self.blocked_until), priority.value
        anchor, free = self.anchor, self.free
        if earliest >= anchor + max(free.values()) * self.gap:
            # Idle: move the slots so that one begins now.
            first = next(number for number, kind in enumerate(_CYCLE) if kind in kinds)
            anchor, free = earliest - first * gap, dict.fromkeys(free, first)
        elif gap != self.gap:
            # The rate was edited. Each kind of slots stays taken for as long as it was.
            taken_until = {kind: anchor + number * self.gap for kind, number in free.items()}
            anchor = now + gap
            free = {kind: max(0, math.ceil((end - anchor) / gap)) for kind, end in taken_until.items()}
        # The subtracted part makes up for rounding.
        begin = max(0, math.ceil((earliest - anchor) / gap - 1e-6))
        number, kind = min((_first_slot(kind, max(begin, free[kind])), kind) for kind in kinds)
        at = anchor + number * gap
        state = replace(self, gap=gap, anchor=anchor, free={**free, kind: number + 1})
        return state, at if at > earliest + 1e-6 * gap else earliest


def _first_slot(kind: str, number: int) -> int:
    while _CYCLE[number % len(_CYCLE)] != kind:
        number += 1
    return number


class Store(Protocol):
    """Keeps the state that all processes of an account share. If sharing fails, it limits its own process."""

    def reserve(self, rate: float, priority: Priority, max_delay: float) -> float:
        """
        Reserve a slot, and return the seconds until then. This call may block.

        :param max_delay: Nothing is reserved if the slot is more than this many seconds away.
        """

    def block_for(self, seconds: float) -> None:
        """Assign no slot within the next seconds."""

    def blocked_for(self) -> float:
        """Return for how many seconds no request may be sent."""


class FileStore:
    """
    A store in a file that the processes of one user on one machine share.

    :param account: Identifies the account. The file's name is a digest of it.
    """

    def __init__(self, account: str) -> None:
        self._account = account
        self._state = RateState()
        self._unusable_until = 0.0
        self._warned = False

    def reserve(self, rate: float, priority: Priority, max_delay: float) -> float:
        with self._locked() as path:
            state, now = self._load(path)
            state, at = state.assign(now, rate, priority)
            if at - now <= max_delay:
                self._save(path, state)
            return max(0.0, at - now)

    def block_for(self, seconds: float) -> None:
        with self._locked() as path:
            state, now = self._load(path)
            self._save(path, replace(state, blocked_until=max(state.blocked_until, now + seconds)))

    def blocked_for(self) -> float:
        path = None
        with suppress(OSError):
            path = self._path()
        state, now = self._load(path)
        return max(0.0, state.blocked_until - now)

    @contextmanager
    def _locked(self) -> Iterator[Path | None]:
        """Lock the file and yield its path, or None if it cannot be used."""
        # Not needed to parse DAG files.
        from filelock import FileLock

        if time.monotonic() < self._unusable_until:
            yield None
            return
        try:
            path = self._path()
            # A new lock each time, because a forked process cannot use its parent's.
            lock = FileLock(path.with_suffix(".lock"), mode=0o600)
            lock.acquire(timeout=_LOCK_TIMEOUT, poll_interval=0.002)
        except (OSError, RuntimeError) as e:
            self._do_without(e)
            yield None
            return
        try:
            yield path
        finally:
            lock.release()

    def _path(self) -> Path:
        folder = Path(tempfile.gettempdir()) / f"agentruns-{os.geteuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(f"{folder} is not a directory that only this user can write to")
        return folder / hashlib.sha256(f"{self._account}\n{_clock_id()}".encode()).hexdigest()

    def _load(self, path: Path | None) -> tuple[RateState, float]:
        """Return the shared state, or the last known one if the file is unusable, and the time."""
        if path is not None:
            with suppress(OSError, ValueError, TypeError):
                self._state = RateState(**json.loads(path.read_bytes()))
        return self._state, time.monotonic()

    def _save(self, path: Path | None, state: RateState) -> None:
        self._state = state
        if path is not None:
            try:
                new = path.with_suffix(".new")
                new.touch(0o600)
                new.write_text(json.dumps(asdict(state)))
                new.replace(path)
            except OSError as e:
                self._do_without(e)

    def _do_without(self, reason: Exception) -> None:
        self._unusable_until = time.monotonic() + _RETRY_FILE_AFTER
        if not self._warned:
            self._warned = True
            log.warning("The rate limit holds for this process only, not for this machine: %s", reason)


@cache
def _clock_id() -> str:
    """Identify the monotonic clock, which differs after a boot and in a container with its own time namespace."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text() + str(Path("/proc/self/ns/time").readlink())
    except OSError:
        return ""


class Limiter:
    """
    Delays requests to keep to one rate with all that share the store. Safe in threads, event loops, and forks.

    :param rate: Requests per second.
    """

    def __init__(self, rate: float, store: Store) -> None:
        self.rate = rate
        self._store = store

    def wait(self, priority: Priority = Priority.WAIT, max_wait: float | None = None) -> float:
        """
        Sleep until a request may be sent.

        :param max_wait: The longest acceptable delay, in seconds; None for any.
        :return: The delay in seconds.
        :raises AgentRunsThrottledError: If the delay would be longer. Nothing is reserved then.
        """
        begin = time.monotonic()
        while True:
            delay = self._reserve(priority, begin, max_wait)
            time.sleep(delay)
            # The service may have sent a 429 to another request meanwhile.
            if not delay or not self._store.blocked_for():
                return time.monotonic() - begin

    async def wait_async(self, priority: Priority = Priority.WAIT, max_wait: float | None = None) -> float:
        """Async twin of :meth:`wait`."""
        begin = time.monotonic()
        while True:
            # In a thread, because another process may hold the lock.
            delay = await asyncio.to_thread(self._reserve, priority, begin, max_wait)
            await asyncio.sleep(delay)
            if not delay or not self._store.blocked_for():
                return time.monotonic() - begin

    def block_for(self, seconds: float) -> None:
        """Send nothing for some seconds: the service has returned a 429."""
        self._store.block_for(seconds)

    def _reserve(self, priority: Priority, begin: float, max_wait: float | None) -> float:
        left = math.inf if max_wait is None else max_wait - (time.monotonic() - begin)
        delay = self._store.reserve(self.rate, priority, left)
        if delay > left:
            raise AgentRunsThrottledError(delay)
        return delay


_limiters: dict[str, Limiter] = {}


def limiter_for(account: str, rate: float) -> Limiter:
    """
    Return this process's limiter of an account.

    :param account: Identifies the account without revealing the token.
    :param rate: Requests per second. The rate of the last call applies to all users of the account.
    """
    limiter = _limiters.setdefault(account, Limiter(rate, FileStore(account)))
    limiter.rate = rate
    return limiter
