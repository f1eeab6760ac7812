# SPDX-License-Identifier: Apache-2.0
"""Short intervals, and assets in Airflow's database."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_agentruns.events import run_event_poller
from airflow_provider_agentruns.triggers import agent_run
from tests.support.postgres import use_sessions


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let watchers poll as often as they like."""
    monkeypatch.setattr(agent_run, "SHORTEST_EVENT_INTERVAL", 0.02)
    monkeypatch.setattr(run_event_poller, "_PAUSE_PER_PAGE", 0.0)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.full)])
def database(airflow_home: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "postgresql":
        use_sessions(request.getfixturevalue("postgresql"), monkeypatch)
    return str(request.param)
