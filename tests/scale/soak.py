# SPDX-License-Identifier: Apache-2.0
"""The agent of the DAG ``soak``, and the check that the service and Airflow agree on each of its runs."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from typing import Any

from airflow_provider_agentruns.emulator.script_steps import Ask, Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.standalone import Standalone

#: Airflow notices a dead machine within seconds instead of minutes.
SETTINGS = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
    "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "10",
}


def approval(case: Case) -> ScriptBody:
    """Work, ask, and complete some seconds after the answer."""
    yield Work(3.0, "research", "Reads the register")
    answer = yield Ask([{"agent": case.agent, "label": "Should it be approved?"}])
    yield Work(2.0, "write", "Writes the report")
    return [{"title": f"Report of {case.run_id}", "type": "report", "answer": answer}]


def business_ids(count: int, seed: int) -> list[str]:
    return [str(uuid.UUID(int=(seed << 64) + number + 1)) for number in range(count)]


def check_soak(airflow: Standalone, emulator: Emulator, dag_run: str, businesses: list[str]) -> None:
    """Check that each run was started once and answered once, and that its output is in XCom."""
    started = defaultdict(list)
    for run_id, run in emulator.service.runs.items():
        started[run.context.id].append(run_id)
    answered = Counter(answer.run_id for answer in emulator.service.answers)
    for number, business_id in enumerate(businesses):
        assert len(started[business_id]) == 1, f"{business_id}: started {started[business_id]}"
        [run_id] = started[business_id]
        assert answered[run_id] == 1, f"{run_id}: answered {answered[run_id]} times"
        assert airflow.xcom("soak", dag_run, "case.start", "run_id", number) == run_id
        assert airflow.xcom("soak", dag_run, "case.answer", map_index=number)["run_id"] == run_id
        output = airflow.xcom("soak", dag_run, "case.output", map_index=number)
        # The output in XCom includes fields that a fault has added.
        assert _as_held(output) == emulator.service.runs[run_id].output
    tries = Counter(ti["try_number"] for ti in airflow.task_instances("soak", dag_run))
    print(f"{len(businesses)} runs started once and answered once; tries of a task: {dict(sorted(tries.items()))}")


def _as_held(value: Any) -> Any:
    """Return a value without the additions of the fault ``unknown fields``."""
    if isinstance(value, dict):
        return {key: _as_held(part) for key, part in value.items() if key != "x_unknown"}
    return [_as_held(part) for part in value] if isinstance(value, list) else value
