# SPDX-License-Identifier: Apache-2.0
"""
A small file per account, which the processes of one user on one machine write in turn.

It is a convenience and no more: whenever it cannot be had at once, or not safely, callers do without.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import tempfile
import time
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)

# How long to wait for the lock, in seconds. Whoever has it needs some microseconds, unless it gets no processor,
# as may be where many processes start at once, or has been stopped.
_PATIENCE = 0.25

# The same in an event loop, where everything else waits as well.
_PATIENCE_OF_LOOP = 0.003

# The times between two looks at the lock: they grow, since many looking often take the processor from who has it.
_SHORTEST_PAUSE = 0.0001
_LONGEST_PAUSE = 0.005

# The time after which a file that could not be used is tried again: a full disk may have been cleared by then.
_TRY_AGAIN = 60.0

_warned_in = 0


class SharedFile:
    """
    An account's file, which one process at a time may change.

    Its lock belongs to the open file. Objects of their own therefore keep each other out, also within a
    process, and a forked process must :meth:`close` what it got from its parent before anything else.

    :param account: What tells accounts apart. The file's name is a digest of it.
    :param size: How many bytes it holds.
    """

    def __init__(self, account: str, size: int) -> None:
        self._account = account
        self._size = size
        self._fd: int | None = None
        self._inode: tuple[int, int] | None = None
        self._locked = False
        self._stuck_at: bytes | None = None
        self._try_at = 0.0

    def take(self) -> bytes | None:
        """
        Lock the file, if the lock is to be had soon, and return what it holds.

        :return: None if it cannot be read.
        """
        try:
            fd = self._opened()
            if fd is None:
                return None
            self._locked = self._lock(fd)
            return os.pread(fd, self._size, 0)
        except OSError as e:
            self._fail(e)
            return None

    def put(self, content: bytes) -> bool:
        """Replace what the file holds, if it is locked, and say whether that worked."""
        if self._fd is None or not self._locked:
            return False
        try:
            if os.pwrite(self._fd, content, 0) != len(content):
                raise OSError("not all could be written")
        except OSError as e:
            self._fail(e)
            return False
        return True

    def release(self) -> None:
        """Unlock the file, if it is locked."""
        self._locked = False
        if self._fd is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file, without unlocking it for another process that has it open in common with this one."""
        self._locked = False
        fd, self._fd = self._fd, None
        if fd is not None and _inode(fd) == self._inode:
            os.close(fd)

    def __del__(self) -> None:
        self.close()

    def _opened(self) -> int | None:
        # The file may have been removed by something that tidies up, and the others have a new one. Or all
        # descriptors were closed, and this one's number is that of somebody else's file by now.
        if self._fd is not None and _inode(self._fd, removed=False) == self._inode:
            return self._fd
        self.close()
        if time.monotonic() < self._try_at:
            return None
        self._fd = _open(f"{self._account}\n{_clock()}")
        self._inode = _inode(self._fd)
        return self._fd

    def _lock(self, fd: int) -> bool:
        if _lock_at_once(fd):
            return True
        found = os.pread(fd, self._size, 0)
        if found == self._stuck_at:
            # Nobody has written since the last wait, which was in vain: a process is stopped, and may stay so.
            return False
        in_loop = _in_event_loop()
        while not _lock_within(fd, _PATIENCE_OF_LOOP if in_loop else _PATIENCE):
            before, found = found, os.pread(fd, self._size, 0)
            # As long as others get on, one's turn comes.
            if in_loop or found == before:
                self._stuck_at = found
                return False
        return True

    def _fail(self, error: OSError) -> None:
        global _warned_in
        self.close()
        self._try_at = time.monotonic() + _TRY_AGAIN
        if _warned_in != os.getpid():
            _warned_in = os.getpid()
            log.warning("Requests are paced within this process only, not within this machine: %s", error)


def _open(key: str) -> int:
    """Open the file, in a directory that nobody else can write to, wherever the machine's temporary ones are."""
    directory = Path(tempfile.gettempdir()) / f"agentruns-{os.geteuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(parent)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(f"{directory} belongs to somebody else, or others may write to it")
        name = hashlib.sha256(key.encode()).hexdigest()
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
    finally:
        os.close(parent)


def _lock_at_once(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_within(fd: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    pause = _SHORTEST_PAUSE
    while time.monotonic() < end:
        time.sleep(pause)
        if _lock_at_once(fd):
            return True
        pause = min(2 * pause, _LONGEST_PAUSE)
    return False


def _in_event_loop() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _inode(fd: int, *, removed: bool = True) -> tuple[int, int] | None:
    """Tell which file a descriptor is of; None if it is of none or, unless that will do, of a removed one."""
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if removed or found.st_nlink else None


@cache
def _clock() -> str:
    """
    Return what tells the monotonic clock here from others: of another boot, of a container with a time of its own.

    Each has a file of its own, as moments by one clock mean nothing by another. It is empty where the system
    does not tell.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text() + str(Path("/proc/self/ns/time").readlink())
    except OSError:
        return ""
