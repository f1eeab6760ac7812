# SPDX-License-Identifier: Apache-2.0
"""The processes of the benchmark: one for the service and one for the waits. Both end with the benchmark."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[2]


class Child:
    """
    A module of the benchmark in a process of its own.

    :param log: Where its standard error goes.
    :param environment: More environment variables.
    """

    def __init__(self, module: str, *arguments: str, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.{module}", *arguments],
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdout
        self._stdout = self._process.stdout

    def line(self) -> str:
        return self._stdout.readline().strip()

    def last_line(self, *, within: float) -> str:
        """Wait for its end, and return the last line that it printed; a process that takes longer is ended."""
        timer = threading.Timer(within, self._process.kill)
        timer.start()
        lines = self._stdout.read().split("\n")
        timer.cancel()
        return next((line for line in reversed(lines) if line), "")

    def errors(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


def end_with_parent() -> None:
    """End this process as soon as its parent has ended, which holds the other end of its standard input."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def allow_many_files() -> None:
    """Let this process open as many connections as the system allows: some peers hold one for each wait."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
