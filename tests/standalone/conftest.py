# SPDX-License-Identifier: Apache-2.0
"""One whole Airflow for all tests of this folder, with a wire between it and the offline service."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_agentruns.emulator.scripts import Ask, Case, ScriptBody
from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.standalone import Standalone
from tests.support.statsd import StatsdServer
from tests.support.wire import Wire

#: The id of the artifact that the agent ``rated`` proposes.
RATED_ARTIFACT = "7d0c1c1e-6a55-4f0e-9d6b-0d4b8f6c2a11"

#: Looked for in all that Airflow writes.
TOKEN = "mk_test_a-token-that-nobody-may-see"


def rated(case: Case) -> ScriptBody:
    """Proposes an artifact that has an id, by which it can be rated."""
    artifact = {"id": RATED_ARTIFACT, "title": "New address", "type": "address_change", "summary": "Moved"}
    yield Ask([{"agent": case.agent, "label": "Shall the address be changed?", "artifacts": [artifact]}])
    return []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Mark the tests of this folder, which take a whole Airflow.

    Where tests run side by side, all of these are for one process. They take the longest, and come first.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("standalone")
            item.add_marker(pytest.mark.xdist_group("standalone"))
    items.sort(key=lambda item: here not in item.path.parents)


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Return the service, on which ``slow`` takes about two seconds."""
    with Emulator(token=TOKEN, speed=2.5, agents={"rated": rated}) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def wire(emulator: Emulator) -> Iterator[Wire]:
    """Return what lies between Airflow and the service."""
    with Wire(emulator.url) as wire:
        yield wire


@pytest.fixture(scope="session")
def statsd() -> Iterator[StatsdServer]:
    """Return what Airflow sends its metrics to."""
    with StatsdServer() as server:
        yield server


@pytest.fixture(scope="session")
def airflow(wire: Wire, statsd: StatsdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """Return the Airflow."""
    connection = (
        f"agentruns://:{TOKEN}@127.0.0.1:{wire.port}/http?run_url=https%3A%2F%2Fexample.com%2Fruns%2F%7Brun_id%7D"
    )
    home = tmp_path_factory.mktemp("standalone")
    dags = home / "dags"
    shutil.copytree(Path(__file__).parent / "dags", dags)
    for example in (Path(__file__).parents[2] / "example_dags").glob("*.py"):
        # Nobody waits for hours here.
        (dags / example.name).write_text(example.read_text().replace("timedelta(hours=4)", "timedelta(seconds=4)"))
    with Standalone(home, dags, {"AIRFLOW_CONN_AGENTRUNS_DEFAULT": connection, **statsd.environment}) as airflow:
        yield airflow
