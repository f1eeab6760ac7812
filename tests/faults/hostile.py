# SPDX-License-Identifier: Apache-2.0
"""Responses of a hostile service, and a bound on the time and memory that they may cost."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.scripted_server import Received, Reply, answer

#: The most additional memory in bytes, and the most time in seconds. Generous: the tests only detect unbounded growth.
MEMORY, TIME = 250e6, 60.0


class Spigot:
    def __init__(self, piece: bytes) -> None:
        self._piece = piece
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        while not self.closed.is_set():
            yield self._piece


def without_end(pieces: Iterable[bytes], kind: str = "application/json", status: int = 200) -> Reply:
    return Reply(status=status, headers={"Content-Type": kind, "Connection": "close"}, pieces=pieces, close=True)


@contextmanager
def bounded(*spigots: Spigot) -> Iterator[None]:
    """Close the spigots and fail if the block takes too much memory or time."""
    before, begun, over, too_much = _resident(), time.monotonic(), threading.Event(), []

    def watch() -> None:
        while not over.wait(0.02):
            more, seconds = _resident() - before, time.monotonic() - begun
            if more > MEMORY or seconds > TIME:
                too_much.append(f"{more / 1e6:.0f} MB more after {seconds:.1f} s")
                for spigot in spigots:
                    spigot.closed.set()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        assert not too_much, too_much[0]


class EndlessListing:
    """A service whose listing of runs always has another page. Its runs never end."""

    def __init__(self, size: int = 100) -> None:
        self.pages = 0
        self._size = size
        self._numbers = itertools.count()

    def __call__(self, request: Received) -> Reply:
        if request.method == "POST":
            return Reply(reset="after")
        if request.path == "/v1/runs":
            self.pages += 1
            runs = [self._run(next(self._numbers)) for _ in range(self._size)]
            return answer({"object": "list", "has_more": True, "data": runs})
        return answer({"object": "run", "id": request.path.rpartition("/")[2], "status": "running"})

    def _run(self, number: int) -> dict[str, Any]:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return {"object": "run", "id": f"r-{number}", "status": "running", "agent": "other", "created_at": at}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
