# SPDX-License-Identifier: Apache-2.0
"""The pytest fixture of the package."""

from __future__ import annotations

import os

import pytest

from airflow_provider_agentruns.emulator.script_steps import Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import Client, error_of


def my_agent(case: Case) -> ScriptBody:
    """Returns one artifact."""
    yield Work(0, "work", "Works")
    return [{"title": "Mine", "type": "mine"}]


def test_it_is_fast_and_sets_the_connection(agent_runs_emulator: Emulator) -> None:
    assert os.environ["AIRFLOW_CONN_AGENTRUNS_DEFAULT"] == agent_runs_emulator.connection_uri
    assert agent_runs_emulator.connection_uri.endswith("/http?rate_limit=1000")
    assert agent_runs_emulator.service.speed == 20
    assert agent_runs_emulator.faults.active == ()


@pytest.mark.agent_runs(
    speed=1, token="mk_test_mine", agents={"my_agent": my_agent}, faults=["502 GET times=1", "500 GET times=1"]
)
def test_the_marker_changes_it(agent_runs_emulator: Emulator) -> None:
    assert ":mk_test_mine@" in os.environ["AIRFLOW_CONN_AGENTRUNS_DEFAULT"]
    assert agent_runs_emulator.service.speed == 1
    with Client(agent_runs_emulator) as client:
        error_of(client.get("/v1/agents"), 502)
        error_of(client.get("/v1/agents"), 500)
        assert client.start("my_agent")["output"]["artifacts"][0]["type"] == "mine"


def test_the_connection_is_removed_afterwards() -> None:
    assert "AIRFLOW_CONN_AGENTRUNS_DEFAULT" not in os.environ
