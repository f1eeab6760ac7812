# SPDX-License-Identifier: Apache-2.0
"""
One Airflow for the whole run: an empty home with a fresh database, made before Airflow is imported.

Tests that run a DAG ask for the fixture ``run_dag``; the others pay nothing for it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.airflow_home import airflow_environment, migrate

if TYPE_CHECKING:
    from tests.support.dag_runs import DagRunner

pytest_plugins = ["tests.support.grouping"]

_HOME = Path(tempfile.mkdtemp(prefix="agentruns-tests-"))
os.environ.update(airflow_environment(_HOME))

# Each server of a test is an account of its own, for which the processes of a machine share a file.
tempfile.tempdir = os.environ["TMPDIR"] = str(_HOME / "tmp")
Path(tempfile.tempdir).mkdir()


def pytest_unconfigure() -> None:
    """Remove the home."""
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """Return the home of an Airflow whose database is ready."""
    migrate(_HOME, dict(os.environ))
    return _HOME


@pytest.fixture
def run_dag(airflow_home: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[DagRunner]:
    """Return what runs the text of a DAG file through a real Airflow, in this process."""
    from tests.support.dag_runs import DagRunner

    runner = DagRunner(airflow_home / "dags", capfd)
    yield runner
    runner.clean_up()
