# SPDX-License-Identifier: Apache-2.0
"""
Runs the tests on some combinations of Airflow and Python, and prints a table of the results.

``python -m tests.matrix``, ``... all``, or ``... 3.1:3.11 3.3:3.13``. Arguments after ``--`` are passed to pytest.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

#: Each Airflow and each Python once, and all combinations that are supported.
FEW = ("3.1:3.11", "3.2:3.12", "3.3:3.13")
ALL = ("3.1:3.11", "3.1:3.13", "3.2:3.12", "3.3:3.11", "3.3:3.12", "3.3:3.13")

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """
    The result of one combination.

    :param airflow: The exact version, or the requested one if it could not be installed.
    :param python: The same for Python.
    :param summary: The last line of pytest, or why the tests did not run.
    :param passed: Whether tests have run and none failed.
    """

    airflow: str
    python: str
    summary: str
    passed: bool = False


def parse(text: str) -> tuple[str, str]:
    """
    Return the versions of Airflow and Python in a text such as ``3.1:3.11``.

    :raises ValueError: If the text has another form, or there are no constraints for that Airflow.
    """
    if not (found := re.fullmatch(r"(3\.\d+):(3\.\d+)", text)):
        raise ValueError(f"{text!r} must be AIRFLOW:PYTHON, such as 3.1:3.11")
    if not constraints(found[1]).exists():
        raise ValueError(f"{text!r}: {constraints(found[1]).name} is missing; `make constraints` creates it")
    return found[1], found[2]


def constraints(airflow: str) -> Path:
    newest = _ROOT / ".ci" / "constraints.txt"
    is_newest = f"\napache-airflow=={airflow}." in newest.read_text()
    return newest if is_newest else newest.with_name(f"constraints-{airflow}.txt")


def run(airflow: str, version: str, pytest_arguments: list[str]) -> Result:
    """Install a combination into its environment, and run the tests in it."""
    environment = _ROOT / ".venv-matrix" / f"{airflow}-{version}"
    python = environment / "bin" / "python"
    packages = [f"apache-airflow=={airflow}.*", "--group", "dev", "--editable", ".[emulator,pytest]"]
    if not python.exists() and not _succeeds("venv", "--no-python-downloads", "--python", version, environment):
        return Result(airflow, version, f"Python {version} is not installed")
    if not _succeeds("pip", "install", "--python", python, "--constraints", constraints(airflow), *packages):
        return Result(airflow, version, "the installation failed")
    code = "import sys, airflow; print(airflow.__version__, '%d.%d.%d' % sys.version_info[:3])"
    *_, airflow, version = subprocess.check_output([python, "-c", code], text=True).split()
    # A shared cache would list tests that another version does not have.
    command = [python, "-m", "pytest", "--quiet", "-rs", "-p", "no:cacheprovider", *pytest_arguments]
    line = ""
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
    return Result(airflow, version, line.strip(), passed=process.returncode == 0 and " passed" in line)


def _succeeds(*command: str | Path) -> bool:
    """Run uv, which finds each Python on the PATH, and return whether it succeeded."""
    # The commands that pyenv puts on the PATH fail unless the user has chosen the version.
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    path = os.pathsep.join([os.environ["PATH"], *map(str, pyenv.glob("versions/3.1[1-9].*/bin"))])
    uv = Path(sys.executable).parent / "uv"
    return not subprocess.run([uv, "--quiet", *command], cwd=_ROOT, env={**os.environ, "PATH": path}).returncode


def main(arguments: list[str]) -> int:
    """Return 0 if all combinations passed, 1 if one did not, and 2 if one is invalid."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    named, for_pytest = arguments[:split], arguments[split + 1 :]
    try:
        combinations = [parse(text) for text in (ALL if named == ["all"] else named or FEW)]
    except ValueError as e:
        print(e, file=sys.stderr)
        return 2
    results = [run(airflow, python, for_pytest) for airflow, python in combinations]
    for result in results:
        verdict = "passed" if result.passed else "FAILED"
        print(f"Airflow {result.airflow:8} Python {result.python:8} {verdict}: {result.summary}")
    return int(not all(result.passed for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
