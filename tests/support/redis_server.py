# SPDX-License-Identifier: Apache-2.0
"""A Redis server for one test: Debian's package ``redis-server`` on a free port, with a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.support.scripted_server import unused_port


class RedisServer:
    """
    A server that stores nothing on the disk, so that it is empty after each start.

    :param folder: The working folder of the server.
    :param password: What clients have to send; empty for nothing.
    """

    def __init__(self, folder: Path, password: str = "") -> None:
        self.port = unused_port()
        self.url = f"redis://:{password}@127.0.0.1:{self.port}/0" if password else f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def installed() -> bool:
        """Return whether this machine has the server."""
        return shutil.which("redis-server") is not None

    def start(self) -> Self:
        """Start the server and wait until it accepts connections."""
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self._folder, "save": "", "appendonly": "no"}
        if self._password:
            options["requirepass"] = self._password
        command = ["redis-server", *(text for name, value in options.items() for text in (f"--{name}", str(value)))]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            time.sleep(0.02)
        raise TimeoutError("redis-server accepts no connections")

    def stop(self) -> None:
        """End the server, whatever state it is in. It forgets everything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Accept connections but answer nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
