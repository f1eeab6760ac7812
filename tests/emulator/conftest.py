# SPDX-License-Identifier: Apache-2.0
"""A service whose time stands still until a test moves it on; one for a whole module, since none needs its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.emulator.service import Service
from tests.emulator.contract import Client


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def clock() -> Clock:
    """Return the clock of the service."""
    return Clock()


@pytest.fixture(scope="module")
def emulator(clock: Clock) -> Iterator[Emulator]:
    """Serve, at the pace of the clock."""
    with Emulator(service=Service(clock=clock)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def client(emulator: Emulator) -> Iterator[Client]:
    """Return a client of the service."""
    with Client(emulator) as client:
        yield client
