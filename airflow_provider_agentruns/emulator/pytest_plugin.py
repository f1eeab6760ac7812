# SPDX-License-Identifier: Apache-2.0
"""
The fixture ``agent_runs_emulator`` for the tests of DAGs.

pytest loads this module in each project in which the package is installed. It therefore imports the offline service
only when a test uses the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_agentruns.emulator.server import Emulator

_MARKER = "agent_runs"
_SPEED = 20.0


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(speed=20.0, seed=0, rate_limit=None, token=None, agents=None, faults=()): "
        "arguments of Emulator for the fixture agent_runs_emulator",
    )


@pytest.fixture
def agent_runs_emulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """
    Serve agent runs during the test, as the connection ``agentruns_default``.

    The agents work 20 times as fast as otherwise. ``@pytest.mark.agent_runs(speed=..., agents={"mine": script},
    faults=["503 GET /v1/runs/.* times=2"])`` passes arguments to ``Emulator``, for a test, a class, or a module.
    """
    try:
        from airflow_provider_agentruns.emulator.server import Emulator
    except ModuleNotFoundError as missing:
        pytest.fail(f"{missing}: install airflow-provider-agentruns[emulator]", pytrace=False)
    marker = request.node.get_closest_marker(_MARKER)
    with Emulator(**{"speed": _SPEED, **(marker.kwargs if marker else {})}) as emulator:
        monkeypatch.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", emulator.connection_uri)
        yield emulator
