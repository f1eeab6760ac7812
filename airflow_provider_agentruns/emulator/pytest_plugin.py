# SPDX-License-Identifier: Apache-2.0
"""
The fixture ``agent_runs_emulator``, for the tests of DAGs.

It comes with the package: pytest finds it by itself, in every project where the package is installed. So
this module imports nothing that costs time; the offline service is imported by the tests that use it.
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
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(speed=20.0, seed=0, rate_limit=None, token=None, agents=None, faults=()): "
        "how the fixture agent_runs_emulator behaves in this test; takes what Emulator takes",
    )


@pytest.fixture
def agent_runs_emulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """
    Serve agent runs while the test lasts, as the connection ``agentruns_default``.

    The agents work 20 times as fast as they do outside a test. ``@pytest.mark.agent_runs(speed=..., seed=...,
    rate_limit=..., token=..., agents={"mine": script}, faults=["503 GET /v1/runs/.* times=2"])`` changes that and more,
    for a test, a class or a module.
    """
    try:
        from airflow_provider_agentruns.emulator.server import Emulator
    except ModuleNotFoundError as missing:
        pytest.fail(f"{missing}: install airflow-provider-agentruns[emulator]", pytrace=False)
    marker = request.node.get_closest_marker(_MARKER)
    with Emulator(**{"speed": _SPEED, **(marker.kwargs if marker else {})}) as emulator:
        monkeypatch.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", emulator.connection_uri)
        yield emulator
