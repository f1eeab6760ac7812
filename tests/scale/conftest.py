# SPDX-License-Identifier: Apache-2.0
"""What the tests of many waits have in common; ``make test-scale`` runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.scale.airflow import SCALE, SECONDS_PER_TASK, airflow_at_scale
from tests.scale.evidence import blocked
from tests.scale.files import Files
from tests.scale.many import Many


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, which take a whole Airflow, a PostgreSQL and many minutes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("standalone")
            item.add_marker("scale")
            # The first one takes Airflow's own measure, too.
            item.add_marker(pytest.mark.timeout(1200 + 2 * SECONDS_PER_TASK * SCALE))


@pytest.fixture(scope="session")
def own_blocks(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """
    Return how long the triggerer stands still, each time, with as many waits of Airflow's own kind.

    They look every five seconds for a file, and live through a crash of the triggerer.
    """
    folder = tmp_path_factory.mktemp("own")
    with Emulator() as emulator, airflow_at_scale(folder / "airflow", emulator) as airflow:
        files = Files(folder / "files", SCALE)
        many = Many(airflow, "many_files", SCALE, {"files": files.names})
        many.live_through_a_crash(files)
        found = blocked(many.waits())
        many.say(f"Airflow's watchdog: {found or 'silent'}")
        return found
