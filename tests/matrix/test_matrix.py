# SPDX-License-Identifier: Apache-2.0
"""The matrix finds the Pythons of this machine, and fails if a combination did not run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.matrix import __main__ as matrix
from tests.matrix.__main__ import Result, main
from tests.matrix.pythons import find_python

UV = Path(sys.executable).parent / "uv"
THIS = "{}.{}".format(*sys.version_info[:2])


def test_pythons_are_found() -> None:
    assert find_python(THIS, UV)
    assert find_python("3.99", UV) is None


def test_pyenvs_newest_is_found_although_its_commands_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands, versions = tmp_path / "bin", tmp_path / "root" / "versions"
    commands.mkdir()
    for name, text in (("pyenv", f"echo {versions.parent}"), (f"python{THIS}", "exit 127")):
        (commands / name).write_text(f"#!/bin/sh\n{text}\n")
        (commands / name).chmod(0o755)
    for patch in ("2", "10"):
        program = versions / f"{THIS}.{patch}" / "bin" / f"python{THIS}"
        program.parent.mkdir(parents=True)
        program.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(commands))
    assert find_python(THIS, UV) == versions / f"{THIS}.10" / "bin" / f"python{THIS}"


@pytest.mark.parametrize("text", ["3.1", "3.1:", "3.1.8:3.11", "4.0:3.11", "3.0:3.11", "3.1:3.11 "])
def test_an_invalid_combination_is_rejected(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([text]) == 2
    assert text in capsys.readouterr().err


def test_all_supported_combinations_have_constraints() -> None:
    assert {matrix.parse(text)[0] for text in (*matrix.ALL, *matrix.FEW)} == {"3.1", "3.2", "3.3"}


@pytest.mark.parametrize(
    ("result", "code", "shown"),
    [
        (Result("3.3.2", "3.13.0", {"passed": 7, "skipped": 1}), 0, "passed"),
        (Result("3.3.2", "3.13.0", {"passed": 7, "failed": 1}, problem="pytest exited with 1"), 1, "exited with 1"),
        (Result("3.3.2", "3.13.0", {"skipped": 7}), 1, "FAILED"),
        (Result("3.3", "3.13", problem="this Python is not installed"), 1, "not installed"),
    ],
)
def test_only_tests_that_ran_count_as_passed(
    result: Result, code: int, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(matrix, "run", lambda *_: result)
    assert main(["3.3:3.13"]) == code
    assert shown in capsys.readouterr().out
