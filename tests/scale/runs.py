# SPDX-License-Identifier: Apache-2.0
"""Agent runs that end when a test ends them."""

from __future__ import annotations

import time
from collections.abc import Iterable

from airflow_provider_agentruns.emulator.script_steps import Ask, Case, Script, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from tests.support import BUSINESS

#: Runs that end per second. Airflow's triggerer blocks for a while if hundreds of triggers end at once.
ENDS_PER_SECOND = 25

#: Work that does not end without the test.
_HELD = Work(1e9, "work", "Works until the test ends it")


def report(case: Case) -> ScriptBody:
    """Complete at the end."""
    yield _HELD
    return [{"title": f"Report of {case.run_id}", "type": "report"}]


def question(case: Case) -> ScriptBody:
    """Ask something at the end."""
    yield _HELD
    yield Ask([{"agent": case.agent, "label": f"Is {case.run_id} right?"}])
    return []


#: Agents for the emulator.
AGENTS: dict[str, Script] = {"report": report, "question": question}

#: The final status of each agent's runs.
_STATUS = {"report": "completed", "question": "interrupted"}


class Runs:
    """
    Runs of a service. In the end, half of them are completed and half ask something.

    :param emulator: The service; with :data:`AGENTS`.
    """

    def __init__(self, emulator: Emulator, count: int) -> None:
        self._service = emulator.service
        agents = list(_STATUS)
        self.ids = [
            self._service.create_run(agents[number % len(agents)], business_id=BUSINESS).id for number in range(count)
        ]

    def end(self, numbers: Iterable[int]) -> None:
        """End the work of some runs in order."""
        for number in numbers:
            with self._service.lock:
                self._service.runners[self.ids[number]].due_at = self._service.clock()
            time.sleep(1 / ENDS_PER_SECOND)

    def xcom(self, number: int) -> dict[str, object]:
        """Return the sensor's expected XCom value for a run that was ended."""
        run = self._service.get_run(self.ids[number])
        return {
            "run_id": run.id,
            "status": _STATUS[run.agent],
            "agent": run.agent,
            "thread_id": run.thread_id,
            "interrupts": [
                {"id": asked["id"], "agent": run.agent, "value": asked["value"]} for asked in run.interrupts
            ],
        }
