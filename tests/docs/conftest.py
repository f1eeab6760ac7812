# SPDX-License-Identifier: Apache-2.0
"""The offline service for blocks: agents that work fast, since what is tried here is not patience."""

from __future__ import annotations

import pytest

SPEED = 100.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the agents of all these tests work fast."""
    for item in items:
        if "tests/docs/" in item.path.as_posix() and not item.get_closest_marker("agent_runs"):
            item.add_marker(pytest.mark.agent_runs(speed=SPEED))
