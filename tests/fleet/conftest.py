# SPDX-License-Identifier: Apache-2.0
"""Markers and fixtures for the tests of this folder; ``make test-fleet`` runs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.redis_server import RedisServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, which need Redis, PostgreSQL, and many minutes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("fleet")
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """Return a running Redis server."""
    with RedisServer(tmp_path) as server:
        yield server
