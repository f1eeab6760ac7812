# SPDX-License-Identifier: Apache-2.0
"""What the tests of the client share."""

from __future__ import annotations

import pytest
from tenacity import wait_none

from airflow_provider_agentruns.client import retries
from tests.client.calling import Caller


@pytest.fixture(params=["sync", "async"])
def caller(request: pytest.FixtureRequest) -> Caller:
    """Return what sends: the same test runs with the sync and with the async transport."""
    return Caller(request.param)


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Send again at once, where the service asks for no pause.

    The growing pauses between sendings are tenacity's, and real ones would make the tests wait for seconds.
    What the service itself asks for is waited for all the same.
    """
    monkeypatch.setattr(retries, "_backoff", wait_none())


@pytest.fixture
def short_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold an account back for a twentieth of a second after a 429 that asks for no pause, not for a whole one."""
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.05)
