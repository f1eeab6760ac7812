# SPDX-License-Identifier: Apache-2.0
"""The three ways in which a sensor waits."""

from __future__ import annotations

from typing import Any

import pytest

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke", "poke_interval": 0.05},
    "reschedule": {"mode": "reschedule", "poke_interval": 0.05},
    "deferrable": {"deferrable": True, "poke_interval": 0.05},
}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the arguments of a sensor for one mode; the test runs in each of the three."""
    return MODES[request.param]
