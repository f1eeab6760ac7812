# SPDX-License-Identifier: Apache-2.0
"""Finding a version of Python on this machine, wherever such things are kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path


def find_python(version: str, uv: Path) -> Path | None:
    """
    Return a Python of a version, or None where the machine has none.

    :param version: Such as ``3.12``.
    :param uv: Knows those that it has installed itself.
    """
    candidates = (*_on_path(version), *_of_pyenv(version), *_of_uv(version, uv))
    return next((candidate for candidate in candidates if _version_of(candidate) == version), None)


def _on_path(version: str) -> Iterator[Path]:
    if found := shutil.which(f"python{version}"):
        yield Path(found)


def _of_pyenv(version: str) -> Iterator[Path]:
    """Yield those of pyenv, whose own commands are deaf unless somebody has chosen the version."""
    if root := _said("pyenv", "root"):
        found = (Path(root) / "versions").glob(f"{version}.*/bin/python{version}")
        yield from sorted(found, key=lambda path: [part.zfill(9) for part in path.parents[1].name.split(".")])[::-1]


def _of_uv(version: str, uv: Path) -> Iterator[Path]:
    # What is on the PATH was looked at; uv gives up where a pyenv's command there is deaf.
    if found := _said(str(uv), "python", "find", "--no-python-downloads", "--managed-python", version):
        yield Path(found)


def _version_of(python: Path) -> str:
    return _said(str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])")


def _said(*command: str) -> str:
    """Return what a command prints, or an empty string where it is not there or fails."""
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
