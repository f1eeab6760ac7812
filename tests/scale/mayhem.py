# SPDX-License-Identifier: Apache-2.0
"""Kills tasks, the triggerer, and the scheduler with its workers, at random moments."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import psutil

from tests.support.standalone import Standalone

#: Titles of the processes that run tasks, and of the workers, which are children of the scheduler.
_TASK = "airflow worker -- "
_WORKER = "airflow worker -- LocalExecutor"

#: The average time between two kills, in seconds, and the share of kills that hit a component.
_PAUSE = 12
_COMPONENTS = 0.2


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
