# SPDX-License-Identifier: Apache-2.0
"""
Limits how long a whole response may take, for the sync client.

httpx limits single reads only. A response whose header arrives byte by byte, or after endless informational responses,
could take days. All reads pass through the network backend, which is extended here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx


class Deadlines(httpcore.NetworkBackend):
    """Connects as httpcore does, but reads end at the deadline of their thread's request."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()
        self._of_thread = threading.local()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Set the deadline for this thread's reads inside the block."""
        self._of_thread.end = time.monotonic() + seconds
        try:
            yield
        finally:
            self._of_thread.end = None

    def left(self, timeout: float | None) -> float | None:
        """
        Return how long one read may take, in seconds.

        :raises httpcore.ReadTimeout: If no time is left.
        """
        end = getattr(self._of_thread, "end", None)
        if end is None:
            return timeout
        left = float(end - time.monotonic())
        if left <= 0:
            raise httpcore.ReadTimeout("the response took too long")
        return left if timeout is None else min(timeout, left)

    def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        """Connect, as httpcore does."""
        return _Stream(self._inner.connect_tcp(*args, **kwargs), self)

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        """Connect, as httpcore does."""
        return _Stream(self._inner.connect_unix_socket(*args, **kwargs), self)

    def sleep(self, seconds: float) -> None:
        """Pause, as httpcore does."""
        self._inner.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadlines: Deadlines) -> None:
        self._inner = inner
        self._deadlines = deadlines

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadlines.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(*args, **kwargs), self._deadlines)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def limited(client: httpx.Client) -> Deadlines:
    """
    Apply deadlines to all connections that a client opens.

    httpx has no public API for this. If a later version has another structure, only its own read timeouts apply.
    """
    deadlines = Deadlines()
    transports: Iterable[Any] = [client._transport, *client._mounts.values()]
    for transport in transports:
        pool: Any = getattr(transport, "_pool", None)
        if hasattr(pool, "_network_backend"):
            pool._network_backend = deadlines
    return deadlines
