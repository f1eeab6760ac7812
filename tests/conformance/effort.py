# SPDX-License-Identifier: Apache-2.0
"""The number of examples: few and always the same by default, many and random with ``PROPERTY_TESTS=long``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, configuration, settings

LONG = os.environ.get("PROPERTY_TESTS") == "long"

# The tests leave no files in the current folder.
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")


def tries(few: int, many: int) -> settings:
    """Return the number of examples for a test with ``@given``."""
    return settings(
        max_examples=many if LONG else few,
        deadline=None,
        derandomize=not LONG,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
