# SPDX-License-Identifier: Apache-2.0
"""Each fault meets each component: nothing happens twice, no token comes out, and the table says what came of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_agentruns.emulator.faults import FAULTS
from tests.faults import expected, secrets, table
from tests.faults.bench import SESAME, Bench
from tests.faults.cells import written
from tests.faults.row import run_row
from tests.support.dag_runs import DagRunner

_WRITES = os.environ.get("AGENTRUNS_FAULT_TABLE") == "write"


@pytest.fixture(scope="module")
def rows() -> Iterator[dict[str, dict[str, str]]]:
    """Collect the rows, and write them into the table where that is wanted; the others stay as they are."""
    rows: dict[str, dict[str, str]] = {}
    yield rows
    if _WRITES:
        table.write((table.read() if table.TABLE.exists() else {}) | rows)


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_meets_every_component(
    fault: str,
    bench: Bench,
    run_dag: DagRunner,
    airflow_home: Path,
    rows: dict[str, dict[str, str]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    with secrets.Records() as records:
        row = run_row(fault, bench, run_dag)
    for name, cells in row.cells.items():
        for cell in cells if isinstance(cells, list) else ():
            expected.check(fault, name, cell)
    out = [
        *row.out(),
        *secrets.of_files(airflow_home),
        ("all loggers", "\n".join(records.texts).encode(errors="replace")),
    ]
    # All tokens begin with it.
    assert secrets.leaks(SESAME, out) == []
    rows[fault] = {name: written(cells) for name, cells in row.cells.items()}
    if not _WRITES:
        assert rows[fault] == table.read()[fault]
