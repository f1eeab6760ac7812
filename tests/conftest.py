# SPDX-License-Identifier: Apache-2.0
"""
Creates an empty Airflow home for the session before Airflow is imported.

The fixture ``airflow_home`` creates its database.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_home import airflow_environment

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, sessionmaker

    from tests.events.assets import Assets
    from tests.plugins.instances import Instances
    from tests.support.dag_runs import DagRunner
    from tests.support.scripted_server import Script, ScriptedServer, Serve

_HOME = Path(tempfile.mkdtemp(prefix="agentruns-tests-"))
os.environ.update(airflow_environment(_HOME))

# The rate limiter keeps a file in the temporary folder for each account, and each test server is an account.
tempfile.tempdir = os.environ["TMPDIR"] = str(_HOME / "tmp")
Path(tempfile.tempdir).mkdir()

#: The marks of all tests in a folder.
_MARKS = {
    "browser": [pytest.mark.browser],
    "docs": [pytest.mark.agent_runs(speed=100.0)],
    "fleet": [pytest.mark.fleet, pytest.mark.timeout(1200)],
    # The tests themselves limit how long they wait.
    "scale": [pytest.mark.scale, pytest.mark.standalone, pytest.mark.timeout(0)],
    "standalone": [pytest.mark.standalone, pytest.mark.timeout(900), pytest.mark.xdist_group("standalone")],
}


# Before the hook of pytest-xdist, which reads the marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of some folders, and run those with a complete Airflow first, because they take longest."""
    folders = {item: item.path.relative_to(Path(__file__).parent).parts[0] for item in items}
    for item, folder in folders.items():
        for mark in _MARKS.get(folder, ()):
            item.add_marker(mark)
    items.sort(key=lambda item: folders[item] != "standalone")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long or binary parameters after their argument. All workers must find the same test IDs."""
    if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 100):
        return argname
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """
    Fail a test whose group can run on several workers: pytest 9.2.0 ignores ``--dist loadgroup`` without a warning.

    Also collect what earlier tests left open, before a test that fails if something is left open.
    """
    # pytest-xdist adds the group to the ID of a test, and keeps tests of one group on one worker.
    if hasattr(item.config, "workerinput") and item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
        pytest.fail("This test needs --dist loadgroup, and the versions in .ci/constraints.txt", pytrace=False)
    if any("error::ResourceWarning" in mark.args for mark in item.iter_markers("filterwarnings")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gc.collect()


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """Return the home of an Airflow with an empty database."""
    # In this process, because it imports Airflow anyway.
    from airflow.utils.db import upgradedb

    upgradedb()
    return _HOME


@pytest.fixture(scope="session")
def postgresql(airflow_home: Path) -> Iterator[sessionmaker[Session]]:
    """Return sessions of a PostgreSQL database with Airflow's tables."""
    from tests.support.postgres import airflow_sessions

    with airflow_sessions() as sessions:
        yield sessions


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Return a function that starts a scripted server, with the default connection to it."""
    from tests.hooks.connections import connection_json
    from tests.support.scripted_server import ScriptedServer

    with ExitStack() as stack:

        def serve(script: Script = (), **fields: Any) -> ScriptedServer:
            server = stack.enter_context(ScriptedServer(script))
            monkeypatch.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", connection_json(server.url, **fields))
            return server

        yield serve


@pytest.fixture
def assets(airflow_home: Path) -> Iterator[Assets]:
    # Airflow before 3.3 lacks what it imports.
    from tests.events.assets import Assets

    made = Assets()
    yield made
    made.clean_up()


@pytest.fixture
def instances(airflow_home: Path) -> Iterator[Instances]:
    from tests.plugins.instances import Instances

    made = Instances()
    yield made
    made.clean_up()


@pytest.fixture
def run_dag(airflow_home: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[DagRunner]:
    """Return a function that runs the text of a DAG file with ``dag.test()``."""
    from tests.support.dag_runs import DagRunner

    runner = DagRunner(airflow_home / "dags", capfd)
    yield runner
    runner.clean_up()
