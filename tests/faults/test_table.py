# SPDX-License-Identifier: Apache-2.0
"""Each fault applies to each component: nothing happens twice, no token leaks, and the table is correct."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

import pytest

from tests.faults.calls import call_hook
from tests.faults.components import COMPONENTS, TASKS
from tests.faults.outcomes import Outcome, check
from tests.faults.placement import GROUPS, place
from tests.faults.secrets import leaks
from tests.faults.stand import TOKEN_PREFIX, Placement, Stand
from tests.faults.tasks import run_tasks
from tests.faults.waits import wait_for_run, watch_for_events
from tests.support.dag_runs import DagRunner

_TABLE = Path(__file__).parent / "results" / "table.md"

_WRITES = os.environ.get("AGENTRUNS_FAULT_TABLE") == "write"

#: The rows that `make test` runs completely: one request in doubt, and one to repeat.
SHORT = ("answer lost", "503")

_ROWS = [fault if fault in SHORT and not _WRITES else pytest.param(fault, marks=pytest.mark.full) for fault in GROUPS]


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("fault", _ROWS)
def test_each_component(
    fault: str,
    stands: dict[str, Stand],
    run_dag: DagRunner,
    airflow_home: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    placements = {name: place(fault, name) for name in COMPONENTS}
    placed = {name: it for name, it in placements.items() if isinstance(it, Placement)}
    outcomes: dict[str, list[Outcome]] = {}
    caplog.set_level(logging.DEBUG)
    tasks, out = run_tasks(fault, {name: placed[name] for name in placed if name in TASKS}, stands, run_dag)
    for name in placed.keys() - tasks.keys():
        outcomes[name], more = run_component(fault, name, placed[name], stands[name])
        out += more
    outcomes |= {name: [outcome] for name, outcome in tasks.items()}
    for name, found in outcomes.items():
        for outcome in found:
            check(fault, name, outcome)
    out += [caplog.text, [record.args for record in caplog.records]]
    assert leaks(TOKEN_PREFIX, out, airflow_home) == []
    cells = ["; ".join(map(str, outcomes[name])) if name in outcomes else str(placements[name]) for name in COMPONENTS]
    row, table = f"| {' | '.join([fault, *cells])} |", _TABLE.read_text()
    if _WRITES:
        table, replaced = re.subn(rf"^\| {fault} \|.*", lambda _: row, table, flags=re.MULTILINE)
        assert replaced == 1, f"Add a row for {fault} to {_TABLE}"
        _TABLE.write_text(table)
    else:
        assert row in table.splitlines()


def run_component(fault: str, name: str, placement: Placement, stand: Stand) -> tuple[list[Outcome], list[object]]:
    if name.startswith("hook"):
        return call_hook(fault, placement, stand, sync=name == "hook")
    if name == "events":
        outcome, out = watch_for_events(fault, placement, stand)
    else:
        outcome, out = wait_for_run(fault, placement, stand, stream=name == "trigger_stream")
    return [outcome], out


def test_the_table_is_complete() -> None:
    rows = [line for line in _TABLE.read_text().splitlines() if line.count("|") == len(COMPONENTS) + 2]
    assert {row.split("|")[1].strip() for row in rows} == {*GROUPS, *GROUPS.values(), "---"}
