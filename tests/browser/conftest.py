# SPDX-License-Identifier: Apache-2.0
"""Browsers, and a complete Airflow for the tests of reviews. ``make test-browser`` runs the tests of this folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.browser.hostile import hostile
from tests.docs.blocks import blocks
from tests.support.standalone import Standalone

# Other tests run without Selenium.
collect_ignore_glob = [] if find_spec("selenium") else ["test_*.py"]

#: The environment variable with the folder for screenshots. The default is a temporary folder.
SCREENSHOTS = "AGENTRUNS_SCREENSHOTS"


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Return the service, with hostile agents."""
    extra = {"rate_limit": 1000, "run_url": "https://runs.example.com/{run_id}"}
    with Emulator(agents={"hostile": hostile}, extra=extra) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def airflow(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """Return a complete Airflow, also with the tutorial's DAG."""
    home, dags = tmp_path_factory.mktemp("browsed"), tmp_path_factory.mktemp("dags")
    shutil.copy(Path(__file__).parent / "dags" / "browsed.py", dags)
    [tutorial] = [block for block in blocks("dag") if block.page == "docs/tutorial.md"]
    (dags / "tutorial.py").write_text(tutorial.text)
    environment = {
        "AIRFLOW_CONN_AGENTRUNS_DEFAULT": emulator.connection_uri,
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    }
    with Standalone(home, dags, environment) as airflow:
        yield airflow


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get(SCREENSHOTS) or tmp_path_factory.mktemp("screenshots")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    print(f"Screenshots: {folder}")
    return folder


@pytest.fixture
def browser(airflow: Standalone, screenshots: Path, tmp_path: Path) -> Iterator[Any]:
    """Return a browser with an empty profile."""
    from tests.browser.pages import Browser

    with Browser(airflow.url, tmp_path / "profile", screenshots) as browser:
        yield browser
