# SPDX-License-Identifier: Apache-2.0
"""
The process of one row: many triggers in one event loop, run as Airflow's triggerer runs them.

Prints what was measured as one line of JSON.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import resource
import statistics
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.benchmarks.bodies import WARM_UP
from tests.benchmarks.rows import LONGEST, PATIENCE, ROWS, SHORTEST, Figures, Row
from tests.benchmarks.subjects import SUBJECTS, Subject

#: How often the loop is checked, in seconds, as in Airflow's ``block_watchdog``.
_TICK = 0.1

#: An event may come before its run's end by as much as two processes can differ, in seconds.
_EARLY = 0.05


@dataclass(slots=True)
class Waits:
    subject: Subject
    fired: dict[int, float] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)
    first_failure: str | None = None

    async def run(self, number: int, trigger: Any) -> None:
        """Run one trigger as the triggerer does: to its end, then clean up, whatever happens."""
        try:
            async for event in trigger.run():
                self.fired[number] = time.time()
                if not self.subject.succeeded(event.payload):
                    self._fail(number, event.payload)
        except Exception as e:  # noqa: BLE001 -- the triggerer continues, too
            self._fail(number, e)
        finally:
            with suppress(Exception):
                await trigger.cleanup()
        if number not in self.fired:
            self._fail(number, "no event")

    def _fail(self, number: int, why: object) -> None:
        self.failed.add(number)
        self.first_failure = self.first_failure or repr(why)[:300]


class Watchdog:
    """Checks every 0.1 s how long the loop took and how much memory is in use."""

    def __init__(self, measure_memory_at: float) -> None:
        self.longest = 0.0
        self.memory = self.most_memory = 0
        self.all_wait = False
        self._moment = measure_memory_at

    async def run(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(_TICK)
            self.longest = max(self.longest, time.monotonic() - began)
            self.most_memory = max(self.most_memory, _memory())
            if not self.memory and self.all_wait and time.time() >= self._moment:
                self.memory = _memory()


async def measure(row: Row, port: int) -> Figures:
    subject = SUBJECTS[row.subject](row, port)
    waits = Waits(subject)
    # Imports and the like happen once in a process, and are not what waiting costs.
    await asyncio.wait_for(waits.run(WARM_UP, subject.trigger(WARM_UP)), 60)
    if waits.failed:
        raise RuntimeError(f"{row.name}: the wait to warm up with failed: {waits.first_failure}")
    ballast = _use_up_free_memory()
    began = _ask(port, "/bench/begin")["begins_at"]
    await asyncio.sleep(began - time.time())
    memory, cpu = _memory(), _cpu()
    watchdog = Watchdog(began + SHORTEST - 0.5)
    watching = asyncio.create_task(watchdog.run())
    tasks = []
    for number in range(row.waits):
        await asyncio.sleep(0)
        trigger = subject.trigger(number)
        tasks.append(asyncio.create_task(waits.run(number, trigger)))
    watchdog.all_wait = True
    _, unended = await asyncio.wait(tasks, timeout=began + LONGEST + PATIENCE - time.time())
    cpu = _cpu() - cpu
    watching.cancel()
    report = _ask(port, "/bench/report")
    del ballast
    late = {n: at - report["ends_at"][n] for n, at in waits.fired.items() if n != WARM_UP and n not in waits.failed}
    too_early = {n for n, seconds in late.items() if seconds < -_EARLY}
    return Figures(
        requests=report["requests"],
        cpu=cpu,
        memory=((watchdog.memory or _memory()) - memory) / 1024 / row.waits,
        most_memory=(max(watchdog.most_memory, _memory()) - memory) / 1024 / row.waits,
        latencies=_median_and_p95([seconds for n, seconds in late.items() if n not in too_early]),
        fails=len(waits.failed | too_early),
        unended=len(unended),
        refused=report["refused"],
        busiest_second=report["busiest_second"],
        longest_tick=watchdog.longest,
        failure=waits.first_failure or ("fired before the run's end" if too_early else None),
    )


def main() -> None:
    row, port = ROWS[sys.argv[1]], int(sys.argv[2])
    _log_as_the_triggerer()
    asyncio.run(_measure_and_print(row, port))


async def _measure_and_print(row: Row, port: int) -> None:
    figures = await measure(row, port)
    sys.stdout.write(f"\n{json.dumps(asdict(figures))}\n")
    sys.stdout.flush()
    if figures.unended:
        # Thousands of waits that were cut off would take long to end.
        os._exit(0)


def _log_as_the_triggerer() -> None:
    """Write log lines as JSON, as the triggerer does, but to nowhere."""
    from airflow.sdk.log import configure_logging, reset_logging

    reset_logging()
    nowhere = Path(os.devnull).open("wb", buffering=0)  # noqa: SIM115 -- as long as the process
    configure_logging(json_output=True, output=nowhere, sending_to_supervisor=True)


def _ask(port: int, path: str) -> dict[str, Any]:
    return dict(httpx.get(f"https://127.0.0.1:{port}{path}", timeout=60).json())


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory() -> int:
    return int(psutil.Process().memory_info().rss)


def _use_up_free_memory() -> list[bytes]:
    """Return objects that fill the free memory after the imports, so that later allocations make the process grow."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return [bytes(size) for size in range(1, 480, 16) for _ in range(2000)]


def _median_and_p95(values: list[float]) -> tuple[float, float] | None:
    if len(values) < 2:
        return None
    return statistics.median(values), statistics.quantiles(values, n=20)[-1]


if __name__ == "__main__":
    main()
