# SPDX-License-Identifier: Apache-2.0
"""A Redis server on a loopback port, without a stored copy of its data."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.support.scripted_server import unused_port

#: Seconds until the server must accept connections, on a loaded machine.
_PATIENCE = 30.0


class RedisServer:
    """
    A server, as a context manager. Debian's package ``redis-server`` provides it.

    :param folder: Its working directory.
    :param password: What clients must send; empty for nothing.
    :raises FileNotFoundError: If there is no Redis on this machine.
    """

    def __init__(self, folder: Path, password: str = "") -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise FileNotFoundError("No Redis server is installed: apt-get install redis-server")
        self._program = program
        self._folder = folder
        self._port = unused_port()
        self._password = password
        self.url = f"redis://{f':{password}@' if password else ''}127.0.0.1:{self._port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """
        Start the server without data, and wait until it accepts connections.

        :raises RuntimeError: If it ends instead, e.g. because another process has taken the port.
        """
        options = {"port": self._port, "bind": "127.0.0.1", "save": "", "dir": self._folder}
        options["requirepass"] = self._password
        command = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self._process = subprocess.Popen([self._program, *command], stdout=subprocess.DEVNULL)
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), _PATIENCE).close()
                return
            except ConnectionRefusedError:
                if self._process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    raise RuntimeError("redis-server did not start") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """Kill the server. Its data is lost."""
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        """Let the server accept connections but not respond."""
        self._process.send_signal(signal.SIGSTOP)

    def respond(self) -> None:
        self._process.send_signal(signal.SIGCONT)
