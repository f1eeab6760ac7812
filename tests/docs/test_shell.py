# SPDX-License-Identifier: Apache-2.0
"""
The commands of shell blocks and Dockerfiles work.

Each command runs, or the parser of its program accepts it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from airflow_provider_agentruns.audit import __main__ as audit
from airflow_provider_agentruns.emulator.server import Emulator
from tests.docs.blocks import ROOT, Block, blocks


@pytest.mark.parametrize("block", blocks("shell"), ids=str)
def test_the_commands_of_a_block_work(
    block: Block, agent_runs_emulator: Emulator, airflow_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        match [os.path.expandvars(word) for word in shlex.split(line, comments=True)]:
            case [] | ["pytest"] | [".", ".venv/bin/activate"] | ["python" | "python3", "-m", "venv", *_]:
                pass
            case ["mkdir" | "cd", *folders]:
                assert not any(folder.startswith("/") for folder in folders)
            case ["export", assignment]:
                _export(assignment, monkeypatch)
            case ["airflow", *words]:
                _airflow(words, agent_runs_emulator)
            case ["curl", *words]:
                _curl(words, agent_runs_emulator)
            case ["make", *words]:
                _make(words)
            case ["pip", "install", *words]:
                _pip_install(words)
            case ["kubectl", "create", "secret", "generic", _, option]:
                _export(f"AIRFLOW_CONN_{option.removeprefix('--from-literal=')}", monkeypatch)
            case ["helm", "upgrade", *options]:
                assert options
            case ["python" | "python3", "-c", code]:
                assert subprocess.check_output([sys.executable, "-c", code])
            case ["python", "-m", "airflow_provider_agentruns.emulator", *words]:
                _emulator(words)
            case ["python", "-m", "airflow_provider_agentruns.audit", *words]:
                assert audit._parser().parse_args(words)
            case words:
                raise AssertionError(f"unknown command {words}")


@pytest.mark.parametrize("block", blocks("dockerfile"), ids=str)
def test_a_dockerfile_installs_with_the_constraints_of_its_image(block: Block) -> None:
    image, install = block.text.replace("\\\n", " ").splitlines()
    [(version, python)] = re.findall(r"^FROM apache/airflow:([\d.]+)-python([\d.]+)$", image)
    command = install.removeprefix("RUN ").replace("${AIRFLOW_VERSION}", version)
    match shlex.split(command):
        case ["pip", "install", *words]:
            _pip_install(words)
            assert words[-1].endswith(f"/constraints-{python}.txt")
        case words:
            raise AssertionError(words)


def _export(assignment: str, environment: pytest.MonkeyPatch) -> None:
    from airflow.configuration import conf

    from airflow_provider_agentruns.hooks.agent_run import AgentRunHook

    name, _, value = assignment.partition("=")
    if name.startswith("AIRFLOW_CONN_"):
        with pytest.MonkeyPatch.context() as temporary:
            temporary.setenv("AIRFLOW_CONN_OF_A_PAGE", value)
            assert AgentRunHook("of_a_page").settings.token.get_secret_value().startswith("mk_test_")
    elif name.startswith("AIRFLOW__"):
        section, option = name.removeprefix("AIRFLOW__").lower().split("__")
        assert option in conf.configuration_description[section]["options"], name
        environment.setenv(name, value)
    elif name != "AIRFLOW_HOME":
        assert name.startswith("AGENT_RUNS_"), name
        environment.setenv(name, value)


def _airflow(words: Sequence[str], emulator: Emulator) -> None:
    from airflow.cli.cli_parser import get_parser
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    if words[:2] == ["roles", "add-perms"]:
        return  # A command of the FAB provider, which the tests do not install.
    options = get_parser().parse_args(list(words))
    match words:
        case ["connections", "test", *_]:
            known = emulator.count("GET", "/v1/agents")
            options.func(options)
            assert emulator.count("GET", "/v1/agents") == known + 1
        case ["connections", "add", name, *_]:
            options.func(options)
            with create_session() as session:
                added = session.query(Connection).filter_by(conn_id=name).one()
                assert added.conn_type == "agentruns"
                session.delete(added)


def _curl(words: Sequence[str], emulator: Emulator) -> None:
    if (program := shutil.which("curl")) is None:
        pytest.skip("curl is not installed")
    before = len(emulator.requests)
    here = [word.replace("http://127.0.0.1:8400", emulator.url) for word in words]
    done = subprocess.run([program, "--fail", *here], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(emulator.requests) == before + 1


def _emulator(words: Sequence[str]) -> None:
    from airflow_provider_agentruns.emulator.__main__ import _parser, main
    from airflow_provider_agentruns.emulator.faults import rule_of

    options = _parser().parse_args(words)
    assert all(rule_of(fault) for fault in options.faults)
    if options.list_faults:
        assert main(words) == 0


def _make(words: Sequence[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        name, is_variable, _ = word.partition("=")
        assert re.search(rf"\$\(if \$\({name}\)" if is_variable else rf"^{name}:.*## ", makefile, re.MULTILINE), word


def _pip_install(words: Sequence[str]) -> None:
    requirements = {(it := Requirement(word)).name: it for word in words if not word.startswith(("--", "https:"))}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert requirements.pop("airflow-provider-agentruns").extras <= project["optional-dependencies"].keys()
    for name, airflow in requirements.items():
        assert name == "apache-airflow"
        # A complete Airflow is installed with the constraints of the same version.
        version = str(airflow.specifier).removeprefix("==")
        assert f"https://raw.githubusercontent.com/apache/airflow/constraints-{version}/" in words[-1]
