# SPDX-License-Identifier: Apache-2.0
"""The three ways in which a sensor waits."""

from __future__ import annotations

import pytest

MODES = {
    "poke": 'mode="poke", poke_interval=0.1',
    "reschedule": 'mode="reschedule", poke_interval=0.1',
    "deferrable": "deferrable=True, poke_interval=0.1",
}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Return the arguments of a sensor that make it wait in one of the three ways: the test runs in each."""
    return MODES[request.param]
