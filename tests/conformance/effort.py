# SPDX-License-Identifier: Apache-2.0
"""
How much is tried: some hundreds of cases, always the same ones, or with ``PROPERTY_TESTS=long`` many, ever new ones.

A case that fails is printed as Python, and can be tried again by hand.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, configuration, settings

#: The number of histories in a short run.
FEW = 300

LONG = os.environ.get("PROPERTY_TESTS") == "long"

# Nothing is left behind in the folder that the tests are run in.
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")


def tries(few: int, many: int) -> settings:
    """
    Say how many cases a test with ``@given`` tries.

    :param few: By default.
    :param many: With ``PROPERTY_TESTS=long``.
    """
    return settings(
        max_examples=many if LONG else few,
        # A machine that is busy is no defect.
        deadline=None,
        derandomize=not LONG,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
