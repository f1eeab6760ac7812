# SPDX-License-Identifier: Apache-2.0
"""An environment with one version of Airflow on one version of Python, and a run of the tests in it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.matrix.pythons import find_python

_HOME = Path(__file__).parents[2]
_UV = Path(sys.executable).parent / "uv"
_COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")


@dataclass(frozen=True)
class Result:
    """
    What became of the tests.

    :param airflow: The exact version, or what was asked for where that is not to be had.
    :param counts: By ``passed``, ``failed``, ``skipped`` and ``error``.
    :param trouble: Why there are no counts, or why they do not tell all.
    """

    airflow: str
    python: str
    counts: dict[str, int] = field(default_factory=dict)
    minutes: float = 0.0
    trouble: str = ""
    python_is_missing: bool = False

    @property
    def passed(self) -> bool:
        """Whether tests have run, and none failed."""
        return not self.trouble and self.counts.get("passed", 0) > 0


@dataclass(frozen=True)
class Combination:
    """
    One version of Airflow and one of Python, such as ``3.1:3.11``.

    :raises ValueError: If a text names none.
    """

    airflow: str
    python: str

    @classmethod
    def of(cls, text: str) -> Combination:
        """Read ``AIRFLOW:PYTHON``."""
        if not (found := re.fullmatch(r"(3\.\d+):(3\.\d+)", text)):
            raise ValueError(f"{text!r} should be AIRFLOW:PYTHON, such as 3.1:3.11")
        if not _constraints(found[1]).exists():
            raise ValueError(f"{text!r}: there is no {_constraints(found[1]).name}; `make constraints` writes such")
        return cls(*found.groups())

    def run(self, pytest_arguments: list[str]) -> Result:
        """Set the environment up, run the tests in it, and return what became of them."""
        python = find_python(self.python, _UV)
        if python is None:
            return Result(self.airflow, self.python, trouble="this Python was not found", python_is_missing=True)
        try:
            environment = self._environment(python)
        except subprocess.CalledProcessError as e:
            return Result(self.airflow, self.python, trouble=f"{' '.join(map(str, e.cmd[:3]))} failed")
        say = "import sys, airflow; print(airflow.__version__, '%d.%d.%d' % sys.version_info[:3])"
        versions = subprocess.run([environment, "-c", say], capture_output=True, text=True, check=True).stdout.split()
        begun = time.monotonic()
        last_line, code = _pytest(environment, pytest_arguments)
        return Result(
            airflow=versions[-2],
            python=versions[-1],
            counts={name.rstrip("s"): int(count) for count, name in _COUNT.findall(last_line)},
            minutes=(time.monotonic() - begun) / 60,
            trouble=f"pytest ended with {code}" if code else "",
        )

    def _environment(self, python: Path) -> Path:
        """Bring the environment up to date, and return its Python."""
        folder = _HOME / ".venv-matrix" / f"{self.airflow}-{self.python}"
        inside = folder / "bin" / "python"
        if not inside.exists():
            subprocess.run([_UV, "venv", "--quiet", "--python", python, folder], cwd=_HOME, check=True)
        install = [_UV, "pip", "install", "--quiet", "--python", inside, "--constraints", _constraints(self.airflow)]
        what = [f"apache-airflow=={self.airflow}.*", "--group", "dev", "--editable", ".[emulator,pytest]"]
        subprocess.run([*install, *what], cwd=_HOME, check=True)
        return inside


def _constraints(airflow: str) -> Path:
    """Return the versions of everything: of the Airflow that is developed with, and of each older one."""
    newest = _HOME / ".ci" / "constraints.txt"
    of_newest = f"\napache-airflow=={airflow}." in newest.read_text()
    return newest if of_newest else newest.with_name(f"constraints-{airflow}.txt")


def _pytest(python: Path, arguments: list[str]) -> tuple[str, int]:
    """Run pytest, show what it says, and return its last line and its exit code."""
    # Each has caches of its own, which would tell of tests that another version does not have.
    command = [python, "-m", "pytest", "--quiet", "-rs", "-p", "no:cacheprovider", *arguments]
    last = ""
    with subprocess.Popen(command, cwd=_HOME, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line if line.strip() else last
    return last, process.returncode
