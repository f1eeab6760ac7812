# SPDX-License-Identifier: Apache-2.0
"""Kills tasks, the triggerer, and the scheduler with its workers, at random moments."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import psutil

from tests.support.standalone import Standalone

#: Titles of the processes that run tasks, and of the workers, which are children of the scheduler.
_TASK = "airflow worker -- "
_WORKER = "airflow worker -- LocalExecutor"


@contextmanager
def mayhem(airflow: Standalone, *, seed: int, task_every: float, component_every: float) -> Iterator[Counter[str]]:
    """
    Kill processes with SIGKILL while the ``with`` block lasts, as a machine failure would.

    Yields the numbers of killed processes by kind. Killed components are started again at once.

    :param task_every: The average time between two killed tasks, in seconds.
    :param component_every: The same for the triggerer, and for the scheduler with its workers and their tasks.
    """
    killed: Counter[str] = Counter()
    chance = random.Random(seed)  # noqa: S311 -- not for security
    over = threading.Event()

    def kill_a_task() -> None:
        if tasks := [process for process in airflow.processes() if _is_task(process)]:
            with suppress(psutil.NoSuchProcess):
                chance.choice(tasks).kill()
                killed["task"] += 1

    def kill_a_component() -> None:
        component = chance.choice(["triggerer", "scheduler"])
        airflow.kill(component)
        airflow.start(component)
        killed[component] += 1

    def repeat(every: float, kill: Callable[[], None]) -> None:
        while not over.wait(chance.expovariate(1 / every)):
            kill()

    with ThreadPoolExecutor() as threads:
        repeated = [threads.submit(repeat, task_every, kill_a_task)]
        repeated += [threads.submit(repeat, component_every, kill_a_component)]
        try:
            yield killed
        finally:
            over.set()
    for thread in repeated:
        thread.result()


def _is_task(process: psutil.Process) -> bool:
    try:
        title = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
    return title.startswith(_TASK) and _WORKER not in title
