# SPDX-License-Identifier: Apache-2.0
"""One service per module, whose time only advances when a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import Client


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def emulator(clock: Clock) -> Iterator[Emulator]:
    with Emulator() as emulator:
        emulator.service.clock = clock
        yield emulator


@pytest.fixture(autouse=True)
def no_rules(emulator: Emulator) -> None:
    emulator.faults.clear()


@pytest.fixture(scope="module")
def client(emulator: Emulator) -> Iterator[Client]:
    with Client(emulator) as client:
        yield client
