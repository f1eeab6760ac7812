# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL of a test's own, which nobody else on the machine or the network can reach."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_READY_IN = 60.0
_STOPPED_IN = 30.0

#: PostgreSQL refuses to run as root; Debian's package makes this user for it.
_USER = "postgres"


class Postgres:
    """
    A server on a Unix socket, as a context manager. All is gone at the end.

    :param connections: How many connections it takes at a time.
    :raises FileNotFoundError: If there is no PostgreSQL on this machine.
    """

    def __init__(self, *, connections: int = 200) -> None:
        self._programs = _programs()
        self._connections = connections
        self.folder = Path(tempfile.mkdtemp(prefix="agentruns-postgres-", dir=_place()))
        self._data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The database, as Airflow's ``sql_alchemy_conn``."""
        return f"postgresql+psycopg2://airflow@/postgres?host={self.folder}"

    def __enter__(self) -> Self:
        if os.geteuid() == 0:
            shutil.chown(self.folder, _USER, _USER)
        try:
            made = self._run(
                "initdb", f"--pgdata={self._data}", "--username=airflow", "--auth=trust", "--encoding=UTF8"
            )
            if made.returncode:
                raise RuntimeError(f"initdb failed:\n{made.stdout.decode()}")
            self._process = self._start()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server, and remove all that it has kept."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # Ends all connections, too.
            try:
                self._process.wait(_STOPPED_IN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": str(self._connections),
            # Nothing here has to outlive a crash of the machine.
            "fsync": "off",
        }
        arguments = [part for setting in settings.items() for part in ("-c", "=".join(setting))]
        with (self.folder / "postgres.log").open("ab") as log:
            return subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **_as_postgres(),
            )

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self._programs / program, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            **_as_postgres(),
        )

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + _READY_IN
        while self._run("pg_isready", f"--host={self.folder}", "--username=airflow").returncode:
            if time.monotonic() > end or (self._process and self._process.poll() is not None):
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'postgres.log').read_text()}")
            time.sleep(0.2)


def _programs() -> Path:
    """Return the folder of PostgreSQL's programs; Debian has none of a server's on the PATH."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not versions:
        raise FileNotFoundError("There is no PostgreSQL server on this machine: apt-get install postgresql")
    return versions[-1].parent


def _place() -> Path:
    """Return where to make a folder that the server's user can reach."""
    place = Path(tempfile.gettempdir())
    if os.geteuid() == 0:
        while not all(folder.stat().st_mode & stat.S_IXOTH for folder in (place, *place.parents)):
            place = place.parent
    return place


def _as_postgres() -> dict[str, Any]:
    """Return what starts a process as another user, where this one is root."""
    return {"user": _USER, "group": _USER, "extra_groups": []} if os.geteuid() == 0 else {}
