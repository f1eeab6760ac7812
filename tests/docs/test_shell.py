# SPDX-License-Identifier: Apache-2.0
"""The commands of the documentation's shell blocks work."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.docs.blocks import Block, blocks
from tests.docs.commands import run_commands


@pytest.mark.parametrize("block", blocks("shell"), ids=str)
def test_the_commands_of_a_block_work(
    block: Block, agent_runs_emulator: Emulator, airflow_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_commands(block.text, agent_runs_emulator, monkeypatch)


@pytest.mark.parametrize(
    "command",
    [
        "wget http://127.0.0.1:8400/v1/agents",
        "python -m airflow_provider_agentruns.emulator --prot 8400",
        "python -m airflow_provider_agentruns.emulator --fault '5003 GET /v1/runs'",
        "pip install 'airflow-provider-agentruns[emulators]'",
        "export AIRFLOW__CORE__LOAD_EXAMPEL=False",
        "export AIRFLOW_CONN_AGENTRUNS_DEFAULT='agentruns://:mk_test_x@10.0.0.1:8400/http'",
        "airflow connection add mine",
        "make tea",
        "curl --silent http://127.0.0.1:8400/v1/nothing",
    ],
)
def test_a_wrong_command_is_rejected(
    command: str, agent_runs_emulator: Emulator, airflow_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises((AssertionError, SystemExit, ValueError)):
        run_commands(command, agent_runs_emulator, monkeypatch)
