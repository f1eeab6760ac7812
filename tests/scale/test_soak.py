# SPDX-License-Identifier: Apache-2.0
"""
A long test in which one request in twenty fails, and workers, triggerer, and scheduler are killed at random.

At the end, the service and Airflow agree on each run: started once, answered once, and its output is in XCom.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from starlette.middleware import Middleware

from airflow_provider_agentruns.emulator.server import Emulator
from tests.scale.airflow import SCALE, airflow_at_scale
from tests.scale.soak import SETTINGS, approval, business_ids, check_soak
from tests.support.client_killer import ClientKiller
from tests.support.standalone import Standalone

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

#: Titles of the processes that run tasks, and of the workers, which are children of the scheduler.
_TASK = "airflow worker -- "
_WORKER = "airflow worker -- LocalExecutor"

#: The average time between two kills, in seconds, and the share of kills that hit a component.
_PAUSE = 12
_COMPONENTS = 0.2


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


@contextmanager
def mayhem(airflow: Standalone, seed: int) -> Iterator[Counter[str]]:
    """
    Kill processes with SIGKILL while the ``with`` block lasts, as a machine failure would.

    Yields the numbers of killed processes by kind. Killed components are started again at once.
    """
    killed: Counter[str] = Counter()
    chance = random.Random(seed)  # noqa: S311 -- not for security
    over = threading.Event()

    def kill_repeatedly() -> None:
        while not over.wait(chance.expovariate(1 / _PAUSE)):
            if chance.random() < _COMPONENTS:
                component = chance.choice(["triggerer", "scheduler"])
                airflow.kill(component)
                airflow.start(component)
                killed[component] += 1
            elif tasks := [process for process in airflow.processes() if _is_task(process)]:
                with suppress(psutil.NoSuchProcess):
                    chance.choice(tasks).kill()
                    killed["task"] += 1

    with ThreadPoolExecutor() as threads:
        killing = threads.submit(kill_repeatedly)
        try:
            yield killed
        finally:
            over.set()
    killing.result()


def _is_task(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        title = " ".join(process.cmdline())
        return title.startswith(_TASK) and _WORKER not in title
    return False
