# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.faults``: run each fault against each component, and write ``results/table.md``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    os.environ["AGENTRUNS_FAULT_TABLE"] = "write"
    test = str(Path(__file__).parent / "test_table.py")
    sys.exit(pytest.main(["-p", "no:xdist", "-q", "-m", "full", test, *sys.argv[1:]]))
