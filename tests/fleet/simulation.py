# SPDX-License-Identifier: Apache-2.0
"""Runs machines that share an account, and counts what the service granted and rejected."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.util import get_temp_dir
from pathlib import Path
from unittest.mock import patch

import httpx
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_agentruns.emulator.server import Emulator
from tests.fleet.machine import START_WITHIN, Finished, Machine
from tests.scale.runs import AGENTS, Runs
from tests.support import BUSINESS

#: What machines import, and what their clients import later, during the measurement.
_IMPORTED = [Machine.__module__, "airflow_provider_agentruns.polling.poller", "filelock", "redis"]

#: Requests per second that the service grants.
RATE = 20

#: Seconds for all machines to finish.
_FINISH_WITHIN = 600.0


@dataclass(frozen=True)
class Case:
    """
    A number of machines, and what each does.

    :param tasks: Tasks on each machine at the same time.
    :param calls: Requests of each task.
    :param threads: Whether the tasks of a machine are threads of one process. Otherwise, each is a process.
    :param waits: Instead: waits of each machine's triggerer, with an interval of one second.
    :param retry_after: Whether a 429 has the header ``Retry-After``.
    """

    machines: int
    tasks: int = 0
    calls: int = 0
    threads: bool = False
    waits: int = 0
    retry_after: bool = True

    def __str__(self) -> str:
        if self.waits:
            return f"{self.machines} triggerers x {self.waits} waits"
        header = "" if self.retry_after else ", no header"
        return f"{self.machines} machines x {self.tasks} tasks x {self.calls} calls{header}"


@dataclass(frozen=True)
class Result:
    """
    What happened.

    :param requests: The number of requests that reached the service.
    :param rejected: The number of them that received a 429.
    :param errors: The errors of failed tasks and waits.
    :param seconds: From the start of all machines until the last task or wait ended.
    :param slowdown: The same in proportion to an ideal client of tasks; 0 for waits.
    :param lag: The 95th percentile of the seconds from the end of a run until its wait noticed it.
    """

    requests: int
    rejected: int
    errors: list[str]
    seconds: float
    slowdown: float
    lag: float

    def __str__(self) -> str:
        time = f"{self.seconds:.1f} s ({self.slowdown:.2f} times the minimum), lag {self.lag:.1f} s"
        return f"{self.requests} requests, {self.rejected} x 429 ({self.share:.1%}), {len(self.errors)} failed, {time}"

    @property
    def share(self) -> float:
        return self.rejected / self.requests


def _without_retry_after(app: ASGIApp) -> ASGIApp:
    """Return an application whose responses have no header ``Retry-After``."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_without(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [header for header in message["headers"] if header[0] != b"retry-after"]
            await send(message)

        await app(scope, receive, send_without)

    return serve


def simulate(
    case: Case, folder: Path, store_url: str | None = None, during: Callable[[float], None] = lambda _: None
) -> Result:
    """
    Run a case.

    :param folder: The parent of the machines' temporary directories.
    :param store_url: The connection's ``rate_limit_store``.
    :param during: Called when all machines have started, with the minimum time in seconds.
    """
    extra = {"rate_limit": RATE} | ({"rate_limit_store": store_url} if store_url else {})
    middleware = [] if case.retry_after else [Middleware(_without_retry_after)]
    with Emulator(agents=AGENTS, rate_limit=RATE, extra=extra, middleware=middleware) as emulator:
        # The service imports some of its modules for the first request.
        start = {"type": "instant", "business_id": BUSINESS}
        httpx.post(f"{emulator.url}/v1/runs", headers={"Authorization": "Bearer any"}, json=start).raise_for_status()
        emulator.requests.clear()
        runs = Runs(emulator, case.machines * case.waits)
        machines: list[Machine] = []
        for number in range(case.machines):
            own = folder / f"machine-{number}"
            own.mkdir()
            if case.waits:
                waits = tuple(runs.ids[number :: case.machines])
                machines.append(Machine(own, emulator.connection_uri, waits=waits))
            elif case.threads:
                machines.append(Machine(own, emulator.connection_uri, case.tasks, case.calls))
            else:
                machines += [Machine(own, emulator.connection_uri, 1, case.calls)] * case.tasks

        # The processes fork from a server that has imported everything, so that starting them takes milliseconds.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_IMPORTED)
        # Python deletes the folder of the server's socket at its exit, and pytest deletes its own folder before that.
        with patch.object(tempfile, "tempdir", "/tmp"):  # noqa: S108 -- a folder in it
            get_temp_dir()
        barrier, results = context.Barrier(len(machines) + 1), context.Queue()
        processes = [context.Process(target=machine, args=(barrier, results), daemon=True) for machine in machines]
        try:
            for process in processes:
                process.start()
            barrier.wait(START_WITHIN)
            started = time.monotonic()
            minimum = case.machines * case.tasks * case.calls / RATE
            during(minimum)
            ended = {}
            for number, run_id in enumerate(runs.ids):
                runs.end([number])
                ended[run_id] = time.monotonic()
            finished: list[Finished] = [one for _ in machines for one in results.get(timeout=_FINISH_WITHIN)]
        finally:
            for process in processes:
                process.kill()
                process.join()
        statuses = [request.status for request in emulator.requests]
    seconds = max(one.at for one in finished) - started
    lags = sorted(one.at - ended[one.run_id] for one in finished if one.run_id)
    return Result(
        requests=len(statuses),
        rejected=statuses.count(429),
        errors=[one.error for one in finished if one.error],
        seconds=seconds,
        slowdown=seconds / minimum if minimum else 0.0,
        lag=lags[len(lags) * 95 // 100] if lags else 0.0,
    )
