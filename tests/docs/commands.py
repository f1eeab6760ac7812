# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of shell blocks, or passes them to the parser of the program that they call."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from packaging.requirements import Requirement

from airflow_provider_agentruns.emulator.server import Emulator
from tests.docs.blocks import ROOT

#: Commands of Airflow that end soon and need only its database and the offline service.
_EXECUTED = (("connections", "add"), ("connections", "test"))


class Shell:
    """
    Executes the commands of a block in order.

    :param emulator: Replaces the offline service that a command expects, and is the default connection.
    :param environment: Receives exported variables.
    """

    def __init__(self, emulator: Emulator, environment: pytest.MonkeyPatch) -> None:
        self._emulator = emulator
        self._environment = environment
        self._programs: dict[str, Callable[[Sequence[str]], object]] = {
            "airflow": self._airflow,
            "cd": _folder,
            "curl": self._curl,
            "export": self._export,
            "make": _make,
            "mkdir": _folder,
            "pip": _pip,
            "pytest": _nothing,
            "python": _python,
            "python3": _python,
            ".": _activate,
        }

    def run(self, text: str) -> None:
        """Run the commands of a block."""
        for line in text.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                assert words[0] in self._programs, f"unknown program {words[0]!r}"
                self._programs[words[0]]([os.path.expandvars(word) for word in words[1:]])

    def _export(self, words: Sequence[str]) -> None:
        [assignment] = words
        name, _, value = assignment.partition("=")
        if name.startswith("AIRFLOW_CONN_"):
            self._check_connection(value)
        elif name.startswith("AIRFLOW__"):
            section, option = name.removeprefix("AIRFLOW__").lower().split("__")
            assert option in _options(section), f"Airflow has no option [{section}] {option}"
            self._environment.setenv(name, value)
        elif name != "AIRFLOW_HOME":
            assert name.startswith("AGENT_RUNS_"), name
            self._environment.setenv(name, value)

    def _check_connection(self, value: str) -> None:
        from airflow_provider_agentruns.hooks.agent_run import AgentRunHook

        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("AIRFLOW_CONN_OF_A_PAGE", value)
            assert AgentRunHook("of_a_page").settings.token.get_secret_value().startswith("mk_test_")

    def _airflow(self, words: Sequence[str]) -> None:
        from airflow.cli.cli_parser import get_parser
        from airflow.models.connection import Connection
        from airflow.utils.session import create_session

        options = get_parser().parse_args(list(words))
        assert callable(options.func)
        if tuple(words[:2]) not in _EXECUTED:
            return
        known = self._emulator.count("GET", "/v1/agents")
        options.func(options)
        if words[1] == "test":
            assert self._emulator.count("GET", "/v1/agents") == known + 1
            return
        with create_session() as session:
            added = session.query(Connection).filter_by(conn_id=words[2]).one()
            assert added.conn_type == "agentruns"
            session.delete(added)

    def _curl(self, words: Sequence[str]) -> None:
        here = [word.replace("http://127.0.0.1:8400", self._emulator.url) for word in words]
        assert here != list(words), "it does not call the offline service"
        before = len(self._emulator.requests)
        done = subprocess.run([_program("curl"), "--fail", *here], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert len(self._emulator.requests) == before + 1


def _python(words: Sequence[str]) -> None:
    if words[0] == "-c":
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
        assert done.stdout.strip()
    elif list(words[:2]) != ["-m", "venv"]:
        assert list(words[:2]) == ["-m", "airflow_provider_agentruns.emulator"]
        _emulator(words[2:])


def _emulator(words: Sequence[str]) -> None:
    from airflow_provider_agentruns.emulator.__main__ import _parser, main
    from airflow_provider_agentruns.emulator.faults.plan import rule_of

    options = _parser().parse_args(words)
    assert all(rule_of(fault) for fault in options.fault)
    if options.list_faults:
        assert main(words) == 0


def _pip(words: Sequence[str]) -> None:
    assert words[0] == "install"
    requirements = {(it := Requirement(word)).name: it for word in words[1:] if not word.startswith(("--", "https:"))}
    ours = requirements.pop("airflow-provider-agentruns")
    assert ours.extras <= _project()["optional-dependencies"].keys()
    assert requirements.keys() <= {"apache-airflow"}
    for airflow in requirements.values():
        # A complete Airflow is installed with the constraints of the same version.
        option, url = words[-2:]
        assert option == "--constraint"
        assert url.startswith(f"https://raw.githubusercontent.com/apache/airflow/constraints-{_version(airflow)}/")


def _make(words: Sequence[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        name, is_variable, _ = word.partition("=")
        assert re.search(rf"\$\(if \$\({name}\)" if is_variable else rf"^{name}:.*## ", makefile, re.MULTILINE), word


def _folder(words: Sequence[str]) -> None:
    assert not any(word.startswith("/") for word in words)


def _activate(words: Sequence[str]) -> None:
    assert list(words) == [".venv/bin/activate"]


def _nothing(words: Sequence[str]) -> None:
    assert not words


def _options(section: str) -> dict[str, object]:
    from airflow.configuration import conf

    options: dict[str, object] = conf.configuration_description[section]["options"]
    return options


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _version(requirement: Requirement) -> str:
    [specifier] = requirement.specifier
    assert specifier.operator == "=="
    return specifier.version


def _program(name: str) -> str:
    if (path := shutil.which(name)) is None:
        pytest.skip(f"{name} is not installed")
    return path
