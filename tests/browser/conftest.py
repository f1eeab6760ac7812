# SPDX-License-Identifier: Apache-2.0
"""One whole Airflow for all tests of this folder, and a browser for each; ``make test-browser`` runs them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.middleware import Middleware

from airflow_provider_agentruns.emulator.server import Emulator
from tests.browser.hostile import HalfPairs, half_a_pair, hostile, long_address
from tests.support.standalone import Standalone

if TYPE_CHECKING:
    # Selenium is not there when the other tests are run.
    from tests.browser.pages import Browser

#: The environment variable that names the folder for the screenshots; by default, they go with pytest's own files.
SCREENSHOTS = "AGENTRUNS_SCREENSHOTS"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, which take a browser and a whole Airflow."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("standalone")
            item.add_marker("browser")


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Return the service, with agents that mean no good."""
    with Emulator(
        speed=5,
        agents={"hostile": hostile, "half_a_pair": half_a_pair, "long_address": long_address},
        extra={"rate_limit": 1000, "run_url": "https://runs.example.com/{run_id}"},
        middleware=[Middleware(HalfPairs)],
    ) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def airflow(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """Return the Airflow."""
    dags = Path(__file__).parent / "dags"
    home = tmp_path_factory.mktemp("browsed")
    with Standalone(home, dags, {"AIRFLOW_CONN_AGENTRUNS_DEFAULT": emulator.connection_uri}) as airflow:
        yield airflow


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder for the screenshots."""
    folder = Path(os.environ.get(SCREENSHOTS) or tmp_path_factory.mktemp("screenshots")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    print(f"Screenshots: {folder}")
    return folder


@pytest.fixture
def browser(airflow: Standalone, screenshots: Path, tmp_path: Path) -> Iterator[Browser]:
    """Return a browser that knows nothing yet."""
    from tests.browser.pages import Browser

    with Browser(airflow.url, tmp_path / "profile", screenshots) as browser:
        yield browser
