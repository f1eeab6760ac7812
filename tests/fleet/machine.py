# SPDX-License-Identifier: Apache-2.0
"""A process of a simulated machine, whose tasks or triggerer share a temporary directory."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from airflow_provider_agentruns.exceptions import AgentRunsError
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.support import BUSINESS

#: Seconds for all machines to start.
START_WITHIN = 120.0


@dataclass(frozen=True)
class Finished:
    """
    The end of one task or one wait.

    :param at: The time, by ``time.monotonic()``, which all processes share.
    :param error: The error that failed it.
    :param run_id: The run that it waited for.
    """

    at: float
    error: str | None = None
    run_id: str = ""


@dataclass(frozen=True)
class Machine:
    """
    What a process of a machine does. An instance is the target of the process.

    :param folder: The machine's temporary directory. Its file ``log`` receives all output.
    :param connection: The Airflow connection, as a URI.
    :param tasks: Tasks at the same time, each with its own hook.
    :param calls: Requests of each task, one after the other. The first one starts a run.
    :param waits: Instead: the IDs of runs that a triggerer waits for.
    """

    folder: Path
    connection: str
    tasks: int = 0
    calls: int = 0
    waits: tuple[str, ...] = ()

    def __call__(self, barrier: Barrier, results: Queue[list[Finished]]) -> None:
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.folder)
        os.environ["AIRFLOW_CONN_AGENTRUNS_DEFAULT"] = self.connection
        with (self.folder / "log").open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        run = self._prepare_waits() if self.waits else self._prepare_tasks()
        # The service and the store are other machines: they have the processor when they need it.
        os.nice(10)
        barrier.wait(START_WITHIN)
        results.put(run())

    def _prepare_tasks(self) -> Callable[[], list[Finished]]:
        hooks = [AgentRunHook() for _ in range(self.tasks)]
        for hook in hooks:
            hook.get_conn()

        def run() -> list[Finished]:
            with ThreadPoolExecutor(self.tasks) as threads:
                return list(threads.map(self._run_task, hooks))

        return run

    def _run_task(self, hook: AgentRunHook) -> Finished:
        error = None
        try:
            run = hook.create_run("instant", business_id=BUSINESS)
            for _ in range(self.calls - 1):
                hook.get_run(run.id)
        except AgentRunsError as e:
            error = repr(e)
        return Finished(time.monotonic(), error)

    def _prepare_waits(self) -> Callable[[], list[Finished]]:
        async def wait(run_id: str) -> Finished:
            trigger = AgentRunTrigger(run_id, wait_for=["completed", "interrupted"], poll_interval=1.0)
            event = await anext(aiter(trigger.run()))
            return Finished(time.monotonic(), event.payload.get("message"), run_id)

        async def run() -> list[Finished]:
            return await asyncio.gather(*map(wait, self.waits))

        return lambda: asyncio.run(run())
