# SPDX-License-Identifier: Apache-2.0
"""Here, seconds are short."""

from __future__ import annotations

import pytest

from airflow_provider_agentruns.triggers import agent_run
from airflow_provider_agentruns.watching import known, news


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let watchers look as often as they like, keep their cursors soon, and fail at once."""
    monkeypatch.setattr(agent_run, "SHORTEST_EVENT_INTERVAL", 0.02)
    monkeypatch.setattr(agent_run, "_BEFORE_FAILING", 0.1)
    monkeypatch.setattr(news, "KEEP_AFTER", 0.3)
    monkeypatch.setattr(known, "_PATIENT_MOST", 0.1)
