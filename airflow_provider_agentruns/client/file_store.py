# SPDX-License-Identifier: Apache-2.0
"""Keeps the rate limit of an account in a file that the processes of one user on one machine share."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

from airflow_provider_agentruns.client.request_queue import Priority, RequestQueue, Ticket

log = logging.getLogger(__name__)

#: Seconds to wait for the file's lock. A process usually holds it for less than a millisecond.
_LOCK_TIMEOUT = 2.0
#: Seconds without the shared file after a failure.
_RETRY_FILE_AFTER = 10.0
#: A block lasts up to this many seconds longer, at random, so that machines do not continue at the same time.
_JITTER = 2.0
#: A 429 halves the rate, because it is probably the rate of each machine.
_REDUCTION = 0.5


class FileStore:
    """A store in a file that the processes of one user on one machine share."""

    def __init__(self, account: str) -> None:
        #: Only a store outside of this machine has problems that the connection can cause.
        self.problem: str | None = None
        self._account = account
        self._state = RequestQueue()
        self._unusable_until = 0.0
        self._warned = False

    def reserve(self, rate: float, priority: Priority, max_delay: float) -> tuple[Ticket, float]:
        with self._locked() as path:
            state, now = self._load(path)
            state, ticket = state.issue(now, rate, priority)
            delay = state.delay(ticket, now) or 0.0
            if delay <= max_delay:
                self._save(path, state)
            return ticket, delay

    def delay(self, rate: float, ticket: Ticket) -> float | None:
        path = None
        # Without the file, the tickets are those of this process. The file may still have older ones.
        if time.monotonic() >= self._unusable_until:
            with suppress(OSError):
                path = self._path()
        state, now = self._load(path)
        new = state.updated(now, rate)
        delay = new.delay(ticket, now)
        if not delay or new.gap == state.gap:
            return delay
        # The rate must also recover while all requests wait.
        with self._locked() as path:
            state, now = self._load(path)
            state = state.updated(now, rate)
            self._save(path, state)
            return state.delay(ticket, now)

    def block(self, rate: float, seconds: float) -> None:
        with self._locked() as path:
            state, now = self._load(path)
            jitter = _JITTER * min(1.0, seconds) * random.random()  # noqa: S311
            self._save(path, state.block(now, rate, seconds + jitter, _REDUCTION))

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

    def _load(self, path: Path | None) -> tuple[RequestQueue, float]:
        """Return the shared state, or the last known one if the file is unusable, and the time."""
        if path is not None:
            with suppress(OSError, ValueError, TypeError):
                self._state = RequestQueue(**json.loads(path.read_bytes()))
        return self._state, time.monotonic()

    def _save(self, path: Path | None, state: RequestQueue) -> None:
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
            log.warning("The rate limit applies to this process only, not to the whole machine: %s", reason)


@cache
def _clock_id() -> str:
    """Identify the monotonic clock, which differs after a boot and in a container with its own time namespace."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text() + str(Path("/proc/self/ns/time").readlink())
    except OSError:
        return ""
