# SPDX-License-Identifier: Apache-2.0
"""An offline service with fast agents, for the code blocks of the documentation."""

from __future__ import annotations

import pytest

SPEED = 100.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Speed up the agents of these tests."""
    for item in items:
        if "tests/docs/" in item.path.as_posix() and not item.get_closest_marker("agent_runs"):
            item.add_marker(pytest.mark.agent_runs(speed=SPEED))
