# SPDX-License-Identifier: Apache-2.0
"""The fixture that comes with the package."""

from __future__ import annotations

import os
import time

import pytest

from airflow_provider_agentruns.emulator.scripts import Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import Client, error_of


def _mine(case: Case) -> ScriptBody:
    """Is mine."""
    yield Work(0, "work", "Works")
    return [{"title": "Mine", "type": "mine"}]


def test_it_is_fast_and_sets_the_connection(agent_runs_emulator: Emulator) -> None:
    assert os.environ["AIRFLOW_CONN_AGENTRUNS_DEFAULT"] == agent_runs_emulator.connection_uri
    assert agent_runs_emulator.connection_uri.endswith("/http?rate_limit=1000")
    with Client(agent_runs_emulator) as client:
        begun = time.monotonic()
        *_, last = client.follow(client.start("slow")["id"])
        assert last["snapshot"]["status"] == "completed"
        assert time.monotonic() - begun < 4
        assert agent_runs_emulator.count("GET", "/v1/runs/.*/stream") == 1


@pytest.mark.agent_runs(speed=1, rate_limit=2, token="mk_test_mine", seed=5, agents={"mine": _mine})
def test_the_marker_changes_it(agent_runs_emulator: Emulator) -> None:
    assert ":mk_test_mine@" in os.environ["AIRFLOW_CONN_AGENTRUNS_DEFAULT"]
    assert agent_runs_emulator.service.speed == 1
    with Client(agent_runs_emulator) as client:
        assert client.start("mine")["output"]["artifacts"][0]["type"] == "mine"
        refused = next(answer for _ in range(100) if (answer := client.get("/v1/agents")).status_code != 200)
        error_of(refused, 429)


def test_it_is_gone_afterwards() -> None:
    assert "AIRFLOW_CONN_AGENTRUNS_DEFAULT" not in os.environ


def test_the_marker_is_registered(pytestconfig: pytest.Config) -> None:
    assert any(line.startswith("agent_runs(") for line in pytestconfig.getini("markers"))
