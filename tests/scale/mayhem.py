# SPDX-License-Identifier: Apache-2.0
"""Kills tasks, the triggerer, and the scheduler with its workers, at random moments."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType

import psutil

from tests.support.standalone import Standalone

#: Titles of the processes that run tasks, and of the workers, which are children of the scheduler.
_TASK = "airflow worker -- "
_WORKER = "airflow worker -- LocalExecutor"


class Mayhem:
    """
    Kills processes with SIGKILL, as a machine failure or a lack of memory would, while the ``with`` block lasts.

    :param task_every: The average time between two killed tasks, in seconds.
    :param component_every: The same for the triggerer, and for the scheduler with its workers and their tasks. Each
        is started again at once.
    """

    def __init__(self, airflow: Standalone, *, seed: int, task_every: float, component_every: float) -> None:
        #: Numbers of killed processes by kind.
        self.killed: Counter[str] = Counter()
        #: Errors of this class itself.
        self.faults: list[BaseException] = []
        self._airflow = airflow
        self._random = random.Random(seed)  # noqa: S311 -- not for security
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(task_every, self._kill_a_task), name="tasks"),
            threading.Thread(target=self._repeat, args=(component_every, self._kill_a_component), name="components"),
        ]

    def __enter__(self) -> Mayhem:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop killing."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, every: float, kill: Callable[[], None]) -> None:
        while not self._over.wait(self._random.expovariate(1 / every)):
            try:
                kill()
            except BaseException as e:  # noqa: BLE001 -- the test reports it
                self.faults.append(e)
                return

    def _kill_a_task(self) -> None:
        tasks = [process for process, title in self._processes() if title.startswith(_TASK) and _WORKER not in title]
        if not tasks:
            return
        try:
            self._random.choice(tasks).kill()
        except psutil.NoSuchProcess:
            return
        self.killed["task"] += 1

    def _kill_a_component(self) -> None:
        component = self._random.choice(["triggerer", "scheduler"])
        self._airflow.kill_and_restart(component)
        self.killed[component] += 1

    def _processes(self) -> list[tuple[psutil.Process, str]]:
        found = []
        for process in self._airflow.processes():
            try:
                found.append((process, " ".join(process.cmdline())))
            except psutil.NoSuchProcess:
                continue
        return sorted(found, key=lambda one: one[0].pid)
