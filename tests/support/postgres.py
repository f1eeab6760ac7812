# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server for one test session, on a Unix socket in a private folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

#: PostgreSQL refuses to run as root. Debian's package creates this user.
_USER = "postgres"

_SETTINGS = {
    "listen_addresses": "''",
    "max_connections": "200",
    # The data need not survive a crash of the machine.
    "fsync": "off",
}


class Postgres:
    """
    A server, as a context manager. On exit, it stops and its data is deleted.

    :raises FileNotFoundError: If there is no PostgreSQL on this machine.
    """

    def __init__(self) -> None:
        self._programs = _programs()
        # The path of a socket must be short, and the server's user must reach it.
        self.folder = Path(tempfile.mkdtemp(prefix="agentruns-postgres-", dir="/tmp"))
        self._data = f"--pgdata={self.folder / 'data'}"

    @property
    def url(self) -> str:
        return f"postgresql+psycopg2://airflow@/postgres?host={self.folder}"

    def __enter__(self) -> Self:
        if os.geteuid() == 0:
            shutil.chown(self.folder, _USER, _USER)
        self._run("initdb", self._data, "--username=airflow", "--auth=trust", "--encoding=UTF8")
        settings = {**_SETTINGS, "unix_socket_directories": str(self.folder)}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._run("pg_ctl", "start", "--wait", self._data, f"--log={self.folder / 'log'}", f"--options={options}")
        return self

    def __exit__(self, *error: object) -> None:
        self._run("pg_ctl", "stop", "--mode=immediate", self._data)
        shutil.rmtree(self.folder)

    def dump(self) -> bytes:
        return self._run("pg_dump", f"--host={self.folder}", "--username=airflow", "postgres")

    def _run(self, program: str, *arguments: str) -> bytes:
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = {"user": _USER, "group": _USER, "extra_groups": []}
        done = subprocess.run(
            [self._programs / program, *arguments], cwd=self.folder, capture_output=True, check=False, **user
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{(done.stdout + done.stderr).decode()}")
        return done.stdout


def _programs() -> Path:
    """Return the folder of PostgreSQL's server programs, which Debian does not put on the PATH."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not versions:
        raise FileNotFoundError("No PostgreSQL server is installed: apt-get install postgresql")
    return versions[-1].parent


@contextmanager
def airflow_sessions() -> Iterator[sessionmaker[Session]]:
    """
    Open sessions of a new database with Airflow's tables.

    Skips the test if there is no PostgreSQL on this machine.
    """
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from airflow.utils.db import synchronize_log_template

    try:
        server = Postgres()
    except FileNotFoundError as e:
        pytest.skip(str(e))
    with server:
        engine = create_engine(server.url)
        import_all_models()
        Base.metadata.create_all(engine)
        sessions = sessionmaker(engine, expire_on_commit=False)
        with sessions.begin() as session:
            synchronize_log_template(session=session)
        yield sessions
        engine.dispose()


def use_sessions(sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Airflow use the database of these sessions."""
    from airflow import settings

    monkeypatch.setattr(settings, "NonScopedSession", sessions)
    monkeypatch.setattr(settings, "Session", scoped_session(sessions))
