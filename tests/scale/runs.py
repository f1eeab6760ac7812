# SPDX-License-Identifier: Apache-2.0
"""Agent runs that end when the test says so."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from airflow_provider_agentruns.emulator.scripts import Ask, Case, Script, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator

_BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"

#: How many waits end within a second. Where hundreds do at the same moment, Airflow's triggerer stands still for a
#: while, whatever it is that they wait for.
ENDS_PER_SECOND = 25

#: Work without an end of its own.
_HELD = Work(math.inf, "work", "Works until the test says that it is done")


def report(case: Case) -> ScriptBody:
    """Is completed at the end."""
    yield _HELD
    return [{"title": f"Report of {case.run_id}", "type": "report"}]


def question(case: Case) -> ScriptBody:
    """Asks something at the end."""
    yield _HELD
    yield Ask([{"agent": case.agent, "label": f"Is {case.run_id} right?"}])
    return []


#: For the emulator.
AGENTS: dict[str, Script] = {"report": report, "question": question}

#: What becomes of the runs of each agent, once they have been ended.
_STATUS = {"report": "completed", "question": "interrupted"}


class Runs:
    """
    Runs of a service, half of which will be completed, and half of which will ask something.

    :param emulator: The service; with :data:`AGENTS`.
    """

    def __init__(self, emulator: Emulator, count: int) -> None:
        self._service = emulator.service
        agents = list(_STATUS)
        self.ids = [
            self._service.create_run(agents[number % len(agents)], business_id=_BUSINESS).id for number in range(count)
        ]

    def end(self, numbers: Iterable[int]) -> None:
        """End the work of some runs, one after the other."""
        for number in numbers:
            with self._service.lock:
                run = self._service.get_run(self.ids[number])
                assert run.engine is not None
                run.engine.due = self._service.clock()
            time.sleep(1 / ENDS_PER_SECOND)

    def status(self, number: int) -> str:
        """Return what a run that was ended is."""
        return _STATUS[self._service.get_run(self.ids[number]).agent]

    def xcom(self, number: int) -> dict[str, object]:
        """Return what the sensor has to say of a run that was ended."""
        run = self._service.get_run(self.ids[number])
        return {
            "run_id": run.id,
            "status": self.status(number),
            "agent": run.agent,
            "thread_id": run.thread_id,
            "interrupts": [
                {"id": asked["id"], "agent": run.agent, "value": asked["value"]} for asked in run.interrupts
            ],
        }
