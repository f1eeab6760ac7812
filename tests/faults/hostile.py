# SPDX-License-Identifier: Apache-2.0
"""What a service that means harm sends, and a bound on what that may cost."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.scripted_server import Received, Reply, answer

#: How much more memory the process may take, in bytes, and how long it may take, in seconds: generous, since this tells
#: "bounded" from "not", and measures nothing.
MEMORY, TIME = 250e6, 30.0


class Spigot:
    """Pieces without end, until it is closed."""

    def __init__(self, piece: bytes) -> None:
        self._piece = piece
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        while not self.closed.is_set():
            yield self._piece


def without_end(pieces: Iterable[bytes], kind: str = "application/json", status: int = 200, **headers: str) -> Reply:
    """Answer with pieces that do not end."""
    fields = {"Content-Type": kind, "Connection": "close"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return Reply(status=status, headers=fields, pieces=pieces, close=True)


@contextmanager
def bounded(*spigots: Spigot) -> Iterator[None]:
    """
    Fail where this process takes too much memory in the block, or too long.

    :param spigots: Are closed then, so that the block comes to its end.
    :raises AssertionError: Saying how much and how long.
    """
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
    """
    A service whose listing of runs, and of threads, has one more page for ever; single runs are at work for ever.

    :param size: Runs on a page.
    :param total: What ``total_count`` says.
    """

    def __init__(self, size: int = 100, total: int | None = None) -> None:
        self.pages = 0
        self._size = size
        self._total = total
        self._numbers = itertools.count()

    def __call__(self, request: Received) -> Reply:
        if request.method == "POST":
            return Reply(reset="after")
        if request.path == "/v1/runs":
            self.pages += 1
            runs = [self._run(next(self._numbers)) for _ in range(self._size)]
            more = {} if self._total is None else {"total_count": self._total}
            return answer({"object": "list", "has_more": True, "data": runs, **more})
        if request.path == "/v1/threads":
            return answer({"object": "list", "has_more": True, "data": [{"id": f"t-{next(self._numbers)}"}]})
        return answer({"object": "run", "id": request.path.rpartition("/")[2], "status": "running"})

    def _run(self, number: int) -> dict[str, Any]:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return {"object": "run", "id": f"r-{number}", "status": "running", "agent": "other", "created_at": at}


def _resident() -> int:
    """Return how much memory this process has, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
