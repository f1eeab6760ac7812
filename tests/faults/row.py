# SPDX-License-Identifier: Apache-2.0
"""One row of the table: all components that a fault can meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.faults import secrets
from tests.faults.bench import Bench
from tests.faults.cells import Cell
from tests.faults.hooks import call_hook
from tests.faults.parts import PARTS, TASKS
from tests.faults.placing import Rule, placed
from tests.faults.tasks import run_tasks
from tests.faults.waits import wait_for_run, watch_for_events
from tests.support.dag_runs import DagRunner


@dataclass(slots=True)
class Row:
    """
    What came of a fault.

    :param cells: Component to what came of it there, or why nothing could.
    :param errors: All errors that were met.
    :param things: What else has come out: hooks, triggers and what is stored of them, events, XCom values.
    :param log: What tasks and Airflow said.
    """

    cells: dict[str, list[Cell] | str] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)
    things: list[Any] = field(default_factory=list)
    log: str = ""

    def out(self) -> Iterator[tuple[str, bytes]]:
        """Give all of it, to be searched."""
        yield "the log", self.log.encode(errors="surrogatepass")
        for error in self.errors:
            yield from secrets.of_exception(error)
        for thing in self.things:
            yield from secrets.of_things(**{type(thing).__name__: thing})


def run_row(fault: str, bench: Bench, run_dag: DagRunner) -> Row:
    """Have a fault meet every component that it can meet."""
    row = Row()
    placings = {name: placed(fault, name) for name in PARTS}
    rules = {name: rule for name, rule in placings.items() if isinstance(rule, Rule)}
    row.cells = {name: rule for name, rule in placings.items() if isinstance(rule, str)}
    for name in ("hook", "hook_async"):
        if name in rules:
            cells, errors, hooks = call_hook(fault, rules[name], bench[name], sync=name == "hook")
            row.cells[name] = cells
            row.errors += errors
            row.things += hooks
    tasks = {name: rule for name, rule in rules.items() if name in TASKS}
    if tasks:
        done = run_tasks(fault, tasks, bench, run_dag)
        row.cells |= {name: [cell] for name, cell in done.cells.items()}
        row.errors += done.errors
        row.things += [done.result.xcoms, done.result.states]
        row.log = done.result.log
    for name in ("trigger", "trigger_stream"):
        if name in rules:
            cell, left = wait_for_run(fault, rules[name], bench[name], stream=name == "trigger_stream")
            row.cells[name] = [cell]
            row.things += left
    if "events" in rules:
        cell, left = watch_for_events(fault, rules["events"], bench["events"])
        row.cells["events"] = [cell]
        row.things += left
    return row
