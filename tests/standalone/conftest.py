# SPDX-License-Identifier: Apache-2.0
"""One whole Airflow for all tests of this folder, with a wire between it and the offline service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.standalone import Standalone
from tests.support.wire import Wire

#: Looked for in all that Airflow writes.
TOKEN = "mk_test_a-token-that-nobody-may-see"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, which take a whole Airflow."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("standalone")


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Return the service, on which ``slow`` takes about two seconds."""
    with Emulator(token=TOKEN, speed=2.5) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def wire(emulator: Emulator) -> Iterator[Wire]:
    """Return what lies between Airflow and the service."""
    with Wire(emulator.url) as wire:
        yield wire


@pytest.fixture(scope="session")
def airflow(wire: Wire, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """Return the Airflow."""
    connection = (
        f"agentruns://:{TOKEN}@127.0.0.1:{wire.port}/http?run_url=https%3A%2F%2Fexample.com%2Fruns%2F%7Brun_id%7D"
    )
    dags = Path(__file__).parent / "dags"
    home = tmp_path_factory.mktemp("standalone")
    with Standalone(home, dags, {"AIRFLOW_CONN_AGENTRUNS_DEFAULT": connection}) as airflow:
        yield airflow
