# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server for one test session, on a Unix socket in a private folder."""

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

#: PostgreSQL refuses to run as root. Debian's package creates this user.
_USER = "postgres"


class Postgres:
    """
    A server, as a context manager. On exit, it stops and its data is deleted.

    :param connections: The maximum number of connections.
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
        """Stop the server, and delete its data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # A fast shutdown, which closes all connections.
            try:
                self._process.wait(_STOPPED_IN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def dump(self) -> bytes:
        """Return the contents of the database as SQL."""
        dump = self._run("pg_dump", f"--host={self.folder}", "--username=airflow", "postgres")
        if dump.returncode:
            raise RuntimeError(f"pg_dump failed:\n{dump.stdout.decode()}")
        return dump.stdout

    def _start(self) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": str(self._connections),
            # The data need not survive a crash of the machine.
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
    """Return the folder of PostgreSQL's server programs, which Debian does not put on the PATH."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not versions:
        raise FileNotFoundError("No PostgreSQL server is installed: apt-get install postgresql")
    return versions[-1].parent


def _place() -> Path:
    """Return a temporary folder that the server's user can reach."""
    place = Path(tempfile.gettempdir())
    if os.geteuid() == 0:
        while not all(folder.stat().st_mode & stat.S_IXOTH for folder in (place, *place.parents)):
            place = place.parent
    return place


def _as_postgres() -> dict[str, Any]:
    """Return the arguments that start a process as PostgreSQL's user, if this process is root."""
    return {"user": _USER, "group": _USER, "extra_groups": []} if os.geteuid() == 0 else {}
