# SPDX-License-Identifier: Apache-2.0
"""Fixtures for the tests of the client."""

from __future__ import annotations

import pytest
from tenacity import wait_none

from airflow_provider_agentruns.client import retries
from tests.client.calling import Caller


@pytest.fixture(params=["sync", "async"])
def caller(request: pytest.FixtureRequest) -> Caller:
    return Caller(request.param)


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat requests at once, except for pauses that the service asks for."""
    monkeypatch.setattr(retries, "_backoff", wait_none())


@pytest.fixture
def short_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Block an account for 0.05 s after a 429, and repeat a request for 0.3 s."""
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(retries, "RATE_LIMIT_BUDGET", 0.3)
