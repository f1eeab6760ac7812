# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.faults``: run the whole table, and write it to ``results/table.md``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    os.environ["AGENTRUNS_FAULT_TABLE"] = "write"
    sys.exit(pytest.main(["-p", "no:xdist", "-q", str(Path(__file__).parent / "test_table.py"), *sys.argv[1:]]))
