# SPDX-License-Identifier: Apache-2.0
"""All tasks of a row: one DAG run through a real Airflow, with a task for each component."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

from tests.faults import exceptions_met
from tests.faults.bench import Bench, Seen
from tests.faults.cells import Cell
from tests.faults.parts import PARTS, TASKS
from tests.faults.placing import Rule, timeout_for
from tests.support.dag_runs import DagResult, DagRunner

_LISTINGS = ("/v1/runs", "/v1/threads")

_UNFIT = re.compile(r"\W")

_DAG = """\
from datetime import datetime, timedelta
from airflow.sdk import DAG
from airflow_provider_agentruns.operators.agent_run import *
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor
from tests.faults.answered import AnsweredReview
from tests.faults.exceptions_met import note

with DAG("fault_{name}", schedule=None, start_date=datetime(2026, 1, 1), default_args=dict(
    retries=2, retry_delay=timedelta(0), on_failure_callback=note, on_retry_callback=note,
)):
{tasks}
"""


@dataclass(slots=True)
class TaskRow:
    """
    What came of a row's tasks.

    :param errors: All exceptions that Airflow met.
    """

    result: DagResult
    cells: dict[str, Cell] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)


def run_tasks(fault: str, rules: dict[str, Rule], bench: Bench, run_dag: DagRunner) -> TaskRow:
    """
    Have each task meet the fault.

    :param rules: How the fault meets each component that is a task.
    """
    exceptions_met.MET.clear()
    seen: dict[str, Seen] = {}
    lines = []
    with ExitStack() as stack:
        for name in rules:
            part, stand = TASKS[name], bench[name]
            # An outage takes longer than one more sending.
            stand.connect(timeout_for(fault), max_retries=20 if fault == "outage" else 1)
            agent = "curious" if part.answers else "instant" if name == "output" else "patient"
            run = None if part.starts else stand.run(agent)
            words = {
                "run": run.id if run else "",
                "interrupt": run.interrupts[0]["id"] if run and run.interrupts else "",
                # A run of another row must not be taken for this one's.
                "business": str(uuid5(NAMESPACE_URL, fault)),
                "conn": stand.conn_id,
            }
            lines.append(f'    {part.task.format(**words)} task_id="{name}", agentruns_conn_id="{stand.conn_id}")')
            seen[name] = stack.enter_context(stand.suffering(rules[name]))
        result = run_dag.run_file(_DAG.format(name=_UNFIT.sub("_", fault), tasks="\n".join(lines)))
    row = TaskRow(result)
    for name in rules:
        met = exceptions_met.MET.get(name, [])
        row.errors += met
        failed = result.states[name] != "success"
        assert result.states[name] in ("success", "failed"), result.states
        assert not failed or met, f"{name} failed without an exception"
        part = PARTS[name]
        requests, at_least = _counted(fault, name, seen[name])
        row.cells[name] = Cell(
            error=type(met[-1]).__name__ if failed else "",
            in_doubt=failed and bool(getattr(met[-1], "in_doubt", False)),
            tries=result.tries[name],
            requests=requests,
            at_least=at_least,
            runs=len(seen[name].runs) if part.starts else None,
            answers=seen[name].answers if part.answers else None,
            met=seen[name].met,
        )
    return row


def _counted(fault: str, name: str, seen: Seen) -> tuple[int, bool]:
    """Count the requests that there are in any case, and say whether time decides how many more there are."""
    requests, part = len(seen.requests), PARTS[name]
    if fault == "404 at first" and part.starts:
        return requests - sum(request.status == 404 for request in seen.requests), True
    # A run that has not come up is looked for again and again, for a while, among those that were started meanwhile.
    looks = [r for r in seen.requests if r.method == "GET" and (r.path in _LISTINGS or "/threads/" in r.path)]
    again = fault == "listing lags" or len([r for r in looks if r.path == "/v1/runs"]) > 1
    return requests - len(looks) * again, again
