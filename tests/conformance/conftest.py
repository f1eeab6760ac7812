# SPDX-License-Identifier: Apache-2.0
"""A longer timeout for tests with many examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.effort import LONG

_PATIENCE = 3600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if LONG and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(_PATIENCE))
