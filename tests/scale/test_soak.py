# SPDX-License-Identifier: Apache-2.0
"""
A long test in which one request in twenty fails, and workers, triggerer, and scheduler are killed at random.

At the end, the service and Airflow agree on each run: started once, answered once, and its output is in XCom.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from starlette.middleware import Middleware

from airflow_provider_agentruns.emulator.server import Emulator
from tests.scale.airflow import SCALE, airflow_at_scale
from tests.scale.mayhem import mayhem
from tests.scale.soak import SETTINGS, approval, business_ids, check_soak
from tests.support.client_killer import ClientKiller

SEED = 1

#: Faults that another try of a request or of its task can repair.
FAULTS = (
    "connection closed",
    "answer lost",
    "slow answer seconds=3",
    "hanging taken=true",
    "429 retry_after=1",
    "500",
    "502 taken=true",
    "truncated JSON",
    "proxy page taken=true",
    "unknown fields",
    "listing lags seconds=2",
)

#: The share of requests that fail.
SHARE = 0.05


def test_the_service_and_airflow_agree_on_each_run(tmp_path: Path) -> None:
    ids = business_ids(SCALE, SEED)
    killer = ClientKiller(share=SHARE / len(FAULTS), seed=SEED)
    service = Emulator(
        agents={"approval": approval},
        seed=SEED,
        extra={"timeout": 8, "rate_limit": 100},
        middleware=[Middleware(killer)],
    )
    with service as emulator, airflow_at_scale(tmp_path / "airflow", emulator, settings=SETTINGS) as airflow:
        dag_run = airflow.start_dag("soak", {"businesses": ids})
        for fault in FAULTS:
            emulator.faults.add(fault, share=SHARE / len(FAULTS))
        with mayhem(airflow, SEED) as killed:
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

        check_soak(airflow, emulator, dag_run, ids)
        assert len(emulator.service.runs) == SCALE
        assert len(emulator.service.answers) == SCALE
