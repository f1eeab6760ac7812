# SPDX-License-Identifier: Apache-2.0
"""An API server in a process of its own: ``python -m tests.events.server`` says its URL, and serves till its end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from types import TracebackType
from typing import Self

import psutil


class ServerProcess:
    """
    One more API server beside others, as a context manager.

    :param environment: More environment variables, such as connections and the database.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.events.server"],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.url = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def cpu_seconds(self) -> float:
        """How much of a processor it has taken by now."""
        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system

    def wait_until_ready(self) -> None:
        """Wait until it serves."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("serves "):
                self.url = line.split()[1]
                break
        assert self.url, "the API server did not start"
        # What it says from now on must not fill the pipe.
        threading.Thread(target=self._process.stdout.read, daemon=True).start()


def main() -> None:
    """Serve until the end."""
    from tests.plugins.served import ServedAirflow

    with ServedAirflow() as served:
        print("serves", served.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
