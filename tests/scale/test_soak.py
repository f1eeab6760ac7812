# SPDX-License-Identifier: Apache-2.0
"""
A long test in which one request in twenty fails, and workers, triggerer, and scheduler are killed at random.

At the end, the service and Airflow agree on each run: started once, answered once, and its output is in XCom.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware

from airflow_provider_agentruns.emulator.script_steps import Ask, Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from tests.scale.airflow import SCALE, airflow_at_scale
from tests.scale.mayhem import mayhem
from tests.support.client_killer import ClientKiller

SEED = int(os.environ.get("SOAK_SEED", "1"))

#: Faults that another try of a request or of its task can repair.
FAULTS = (
    "connection closed",
    "request reset",
    "answer reset",
    "answer lost",
    "slow answer seconds=3",
    "hanging",
    "hanging taken=true",
    "body cut off",
    "429 retry_after=1",
    "429 retry_after=null",
    "500",
    "500 taken=true",
    "502 taken=true",
    "503 retry_after=1",
    "504 taken=true",
    "truncated JSON",
    "malformed JSON",
    "proxy page",
    "proxy page taken=true",
    "empty body",
    "unknown fields",
    "listing lags seconds=2",
)

#: The share of requests that fail.
SHARE = float(os.environ.get("FAULTS", "0.05"))

#: Airflow notices a dead machine within seconds instead of minutes.
_SETTINGS = {
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


def as_held(value: Any) -> Any:
    """Return a value without the additions of the fault ``unknown fields``."""
    if isinstance(value, dict):
        return {key: as_held(part) for key, part in value.items() if key != "x_unknown"}
    return [as_held(part) for part in value] if isinstance(value, list) else value


def test_the_service_and_airflow_agree_on_each_run(tmp_path: Path) -> None:
    ids = [str(uuid.UUID(int=(SEED << 64) + number + 1)) for number in range(SCALE)]
    killer = ClientKiller(share=SHARE / len(FAULTS), seed=SEED)
    service = Emulator(
        agents={"approval": approval},
        seed=SEED,
        extra={"timeout": 8, "rate_limit": 100},
        middleware=[Middleware(killer)],
    )
    with service as emulator, airflow_at_scale(tmp_path / "airflow", emulator, settings=_SETTINGS) as airflow:
        dag_run = airflow.start_dag("soak", {"businesses": ids})
        emulator.faults.add_plan(f"{fault} share={SHARE / len(FAULTS)}" for fault in FAULTS)
        with mayhem(airflow, seed=SEED, task_every=15, component_every=75) as killed:
            airflow.wait_for(
                lambda: airflow.dag_run_state("soak", dag_run) in ("success", "failed"),
                "finish the soak",
                600 + 30 * SCALE,
            )
        emulator.faults.clear()
        met = Counter(request.fault for request in emulator.requests if request.fault)
        share = met.total() / len(emulator.requests)
        print(f"{len(emulator.requests)} requests, {share:.1%} with a fault: {dict(met)}; killed: {dict(killed)}")
        airflow.wait_for_dag("soak", dag_run)

        started = defaultdict(list)
        for run_id in emulator.service.runs:
            started[emulator.service.runs[run_id].context.id].append(run_id)
        answered = Counter(answer.run_id for answer in emulator.service.answers)
        for number, business_id in enumerate(ids):
            assert len(started[business_id]) == 1, f"{business_id}: started {started[business_id]}"
            [run_id] = started[business_id]
            assert answered[run_id] == 1, f"{run_id}: answered {answered[run_id]} times"
            assert airflow.xcom("soak", dag_run, "case.start", "run_id", number) == run_id
            assert airflow.xcom("soak", dag_run, "case.answer", map_index=number)["run_id"] == run_id
            output = airflow.xcom("soak", dag_run, "case.output", map_index=number)
            # The output in XCom includes fields that a fault has added.
            assert as_held(output) == emulator.service.runs[run_id].output
        tries = Counter(ti["try_number"] for ti in airflow.task_instances("soak", dag_run))
        print(f"{SCALE} runs started once and answered once; tries of a task: {dict(sorted(tries.items()))}")
        assert len(emulator.service.runs) == SCALE
        assert len(emulator.service.answers) == SCALE
