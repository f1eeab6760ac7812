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

#: How the processes are called in which tasks run, and those of the workers, which are the scheduler's children.
_TASK = "airflow worker -- "
_WORKER = "airflow worker -- LocalExecutor"


class Mayhem:
    """
    Kills with SIGKILL, as a lack of memory or a machine that goes down does, for as long as the ``with`` block lasts.

    :param task_every: How long until the next task is killed, in seconds, on average.
    :param component_every: The same for the triggerer, and for the scheduler with all its workers and what they
        run. Each is started anew at once.
    """

    def __init__(self, airflow: Standalone, *, seed: int, task_every: float, component_every: float) -> None:
        #: How many were killed, by what they were.
        self.killed: Counter[str] = Counter()
        #: What went wrong in here.
        self.faults: list[BaseException] = []
        self._airflow = airflow
        self._random = random.Random(seed)  # noqa: S311 -- no secret
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._again_and_again, args=(task_every, self._kill_a_task), name="tasks"),
            threading.Thread(
                target=self._again_and_again, args=(component_every, self._kill_a_component), name="components"
            ),
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
        """Kill no more."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _again_and_again(self, every: float, kill: Callable[[], None]) -> None:
        while not self._over.wait(self._random.expovariate(1 / every)):
            try:
                kill()
            except BaseException as e:  # noqa: BLE001 -- told to the test
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
