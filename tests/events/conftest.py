# SPDX-License-Identifier: Apache-2.0
"""Short intervals, and assets in Airflow's database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_agentruns.events import run_event_poller
from airflow_provider_agentruns.triggers import agent_run

if TYPE_CHECKING:
    from tests.events.assets import Assets


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let watchers poll as often as they like."""
    monkeypatch.setattr(agent_run, "SHORTEST_EVENT_INTERVAL", 0.02)
    monkeypatch.setattr(run_event_poller, "_PAUSE_PER_PAGE", 0.0)


@pytest.fixture
def assets(airflow_home: Path) -> Iterator[Assets]:
    """Return a writer of assets."""
    # Airflow before 3.3 lacks what it imports.
    from tests.events.assets import Assets

    made = Assets()
    yield made
    made.clean_up()
