# SPDX-License-Identifier: Apache-2.0
"""Markers for the tests of this folder; ``make test-scale`` runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scale.airflow import SCALE, SECONDS_PER_TASK


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, which need a complete Airflow, PostgreSQL, and many minutes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("standalone")
            item.add_marker("scale")
            item.add_marker(pytest.mark.timeout(1200 + 30 * SECONDS_PER_TASK + 6 * SECONDS_PER_TASK * SCALE))
