# SPDX-License-Identifier: Apache-2.0
"""
Reserves places in the queue in forked processes.

They are children of a fresh process, because a fork of a process with threads can hang.

Usage: ``python -m tests.client.forked_reservations RATE [URL]``
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

from airflow_provider_agentruns.client.limiter import Limiter, limiter_for
from airflow_provider_agentruns.client.request_queue import Priority
from tests.client.calling import settings


def reserve_in_forks(rate: float, url: str | None = None, *, folder: Path) -> list[float]:
    """
    Reserve 121 places in seven processes and return the times when they are served.

    :param url: The URL of a store.
    :param folder: The temporary folder of the processes.
    """
    command = [sys.executable, "-m", __name__, str(rate), *([url] if url else [])]
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    times: list[float] = json.loads(done.stdout)
    return times


def reserve(_: object = None) -> float:
    """Reserve a place over the inherited limiter, and return when it is served."""
    _, delay = _limiters[0].store.reserve(_limiters[0].rate, Priority.WAIT, 1e9)
    return delay + time.monotonic()


_limiters: list[Limiter] = []


def main() -> None:
    rate, url = float(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    _limiters.append(limiter_for(settings("http://127.0.0.1:1", rate_limit=rate, rate_limit_store=url)))
    # The children inherit an open connection to the store.
    times = [reserve()]
    with multiprocessing.get_context("fork").Pool(6) as pool:
        times += pool.map(reserve, range(120), chunksize=20)
    print(json.dumps(times))


if __name__ == "__main__":
    main()
