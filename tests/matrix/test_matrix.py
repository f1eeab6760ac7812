# SPDX-License-Identifier: Apache-2.0
"""The matrix finds the Pythons of this machine, and says loudly what it could not try."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.matrix import environments
from tests.matrix.__main__ import ALL, FEW, main, table
from tests.matrix.environments import Combination, Result
from tests.matrix.pythons import find_python

UV = Path(sys.executable).parent / "uv"
THIS = "{}.{}".format(*sys.version_info[:2])


@pytest.fixture
def pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the versions of a pyenv whose own ``python3.x`` is deaf, alone on the PATH."""
    commands, versions = tmp_path / "bin", tmp_path / "root" / "versions"
    commands.mkdir()
    for name, text in (("pyenv", f"echo {versions.parent}"), (f"python{THIS}", "exit 127")):
        (commands / name).write_text(f"#!/bin/sh\n{text}\n")
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(commands))
    return versions


def test_what_is_there_is_found_and_what_is_not_is_not() -> None:
    assert find_python(THIS, UV)
    assert find_python("3.99", UV) is None


def test_the_newest_of_a_pyenv_is_found_although_its_commands_are_deaf(pyenv: Path) -> None:
    for patch in ("2", "10"):
        made = pyenv / f"{THIS}.{patch}" / "bin" / f"python{THIS}"
        made.parent.mkdir(parents=True)
        made.symlink_to(sys.executable)
    assert find_python(THIS, UV) == pyenv / f"{THIS}.10" / "bin" / f"python{THIS}"


@pytest.mark.parametrize("text", ["3.1", "3.1:", "3.1.8:3.11", "4.0:3.11", "3.0:3.11", "3.1:3.11 "])
def test_what_names_no_combination_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([text]) == 2
    assert text in capsys.readouterr().err


def test_each_of_all_is_one() -> None:
    assert {text for text in ALL if Combination.of(text)} > set(FEW)


def test_a_python_that_is_not_there_fails_it_only_if_it_was_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = Result("3.3.2", "3.13.0", {"passed": 7, "skipped": 1})
    missing = Result("3.1", "3.11", trouble="this Python was not found", python_is_missing=True)
    results = {"3.1": missing, "3.2": done, "3.3": done}
    monkeypatch.setattr(environments.Combination, "run", lambda self, _: results[self.airflow])
    assert main([]) == 0
    assert "NOT TRIED: there is no Python 3.11" in capsys.readouterr().out
    assert main(["3.1:3.11", "3.3:3.13"]) == 1
    assert main(["3.3:3.13"]) == 0


@pytest.mark.parametrize(
    ("result", "passed"),
    [
        (Result("3.3.2", "3.11.7", {"passed": 7, "skipped": 1}), True),
        (Result("3.3.2", "3.11.7", {"passed": 7, "failed": 1}, trouble="pytest ended with 1"), False),
        (Result("3.3.2", "3.11.7", {"skipped": 7}), False),
        (Result("3.3.2", "3.11.7", trouble="uv pip install failed"), False),
    ],
)
def test_only_tests_that_ran_count_as_passed(result: Result, passed: bool) -> None:
    assert result.passed is passed
    assert table([result]).row_count == 1
