# SPDX-License-Identifier: Apache-2.0
"""The installed pytest and pytest-xdist keep a group of tests on one worker, and a split group fails the session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_TESTS = """
import pytest, time

@pytest.mark.xdist_group("shared")
@pytest.mark.parametrize("number", range(8))
def test_grouped(number):
    time.sleep(0.02)
"""


@pytest.mark.parametrize(("dist", "code"), [("loadgroup", 0), ("load", 1)])
def test_a_group_runs_on_one_worker_or_the_session_fails(tmp_path: Path, dist: str, code: int) -> None:
    (tmp_path / "test_sample.py").write_text(_TESTS)
    plugins = ["-p", "xdist", "-p", "tests.support.grouping", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "-n", "2", "--dist", dist, "-q", str(tmp_path)],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert ("xdist_group 'shared' ran on several workers" in done.stdout) is bool(code)
