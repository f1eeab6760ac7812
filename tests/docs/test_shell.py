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
