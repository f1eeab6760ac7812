# SPDX-License-Identifier: Apache-2.0
"""All tasks of a row in one DAG run."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

from tests.faults.components import EXCEPTIONS, TASKS
from tests.faults.outcomes import Outcome
from tests.faults.placement import timeout_for
from tests.faults.stand import Placement, Seen, Stand
from tests.support.dag_runs import DagRunner

_DAG = """\
from datetime import datetime, timedelta
from airflow.sdk import DAG
from airflow_provider_agentruns.operators.agent_run import *
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor
from tests.faults.components import AnsweredReview, record_exception

with DAG("fault_{name}", schedule=None, start_date=datetime(2026, 1, 1), default_args=dict(
    retries=2, retry_delay=timedelta(0), on_failure_callback=record_exception, on_retry_callback=record_exception,
)):
{tasks}
"""


def run_tasks(
    fault: str, placements: dict[str, Placement], stands: dict[str, Stand], run_dag: DagRunner
) -> tuple[dict[str, Outcome], list[Any]]:
    """Run a task for each component, and return the outcomes and everything to search for tokens."""
    if not placements:
        return {}, []
    EXCEPTIONS.clear()
    seen: dict[str, Seen] = {}
    lines = []
    with ExitStack() as stack:
        for name, placement in placements.items():
            component, stand = TASKS[name], stands[name]
            stand.connect(timeout_for(fault))
            agent = {"answer": "curious", "read": "instant" if name == "output" else "patient"}.get(component.does)
            run = stand.run(agent) if agent else None
            fields = {
                "run": run.id if run else "",
                "interrupt": run.interrupts[0]["id"] if run and run.interrupts else "",
                # Another business for each row, so that a start cannot find the run of another row.
                "business": str(uuid4()),
            }
            lines.append(
                f'    {component.task.format(**fields)} task_id="{name}", agentruns_conn_id="{stand.conn_id}")'
            )
            seen[name] = stack.enter_context(stand.suffering(placement))
        result = run_dag.run_file(_DAG.format(name=re.sub(r"\W", "_", fault), tasks="\n".join(lines)))
    outcomes = {}
    for name in placements:
        assert result.states[name] in ("success", "failed"), result.states
        error = EXCEPTIONS[name][-1] if result.states[name] == "failed" else None
        outcomes[name] = seen[name].outcome(
            type(error).__name__ if error else "",
            does=TASKS[name].does,
            in_doubt=bool(getattr(error, "in_doubt", False)),
            tries=result.tries[name],
        )
    errors = [error for errors in EXCEPTIONS.values() for error in errors]
    return outcomes, [*errors, result.xcoms, result.states, result.log]
