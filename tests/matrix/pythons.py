# SPDX-License-Identifier: Apache-2.0
"""Finds a version of Python on this machine: on the PATH, or installed by pyenv or uv."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path


def find_python(version: str, uv: Path) -> Path | None:
    """
    Return a Python of a version such as ``3.12``, or None if the machine has none.

    :param uv: The program, which knows the Pythons that it has installed.
    """
    say = "import sys; print('%d.%d' % sys.version_info[:2])"
    return next((path for path in _candidates(version, uv) if _output(path, "-c", say) == version), None)


def _candidates(version: str, uv: Path) -> Iterator[Path]:
    if found := shutil.which(f"python{version}"):
        yield Path(found)
    # The commands that pyenv puts on the PATH fail unless the user has chosen the version.
    if root := _output("pyenv", "root"):
        found_there = (Path(root) / "versions").glob(f"{version}.*/bin/python{version}")
        yield from sorted(found_there, key=lambda path: int(path.parents[1].name.rpartition(".")[2]), reverse=True)
    if found := _output(uv, "python", "find", "--no-python-downloads", "--managed-python", version):
        yield Path(found)


def _output(*command: str | Path) -> str:
    """Return the output of a command, or an empty string if it is missing or fails."""
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
