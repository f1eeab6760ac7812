# SPDX-License-Identifier: Apache-2.0
"""The table that lies here has every fault and every component, and a word in each cell."""

from __future__ import annotations

from airflow_provider_agentruns.emulator.faults import FAULTS
from tests.faults import table
from tests.faults.parts import PARTS


def test_the_table_has_every_fault_and_every_component() -> None:
    rows = table.read()
    assert rows.keys() == FAULTS.keys()
    for fault, row in rows.items():
        assert row.keys() == PARTS.keys()
        assert all(row.values()), f"{fault} has an empty cell"
