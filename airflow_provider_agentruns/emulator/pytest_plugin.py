# SPDX-License-Identifier: Apache-2.0
"""The fixture ``agent_runs_emulator``. pytest loads this module in each project, so it imports the service later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_agentruns.emulator.server import Emulator

_MARKER = "agent_runs"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{_MARKER}(speed=20.0, **arguments): arguments of Emulator for the fixture agent_runs_emulator"
    )


@pytest.fixture
def agent_runs_emulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Serve agent runs during the test, as the connection ``agentruns_default``, 20 times as fast as otherwise."""
    try:
        from airflow_provider_agentruns.emulator.server import Emulator
    except ModuleNotFoundError as missing:
        pytest.fail(f"{missing}: install airflow-provider-agentruns[emulator]", pytrace=False)
    marker = request.node.get_closest_marker(_MARKER)
    with Emulator(**{"speed": 20.0, **(marker.kwargs if marker else {})}) as emulator:
        monkeypatch.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", emulator.connection_uri)
        yield emulator
