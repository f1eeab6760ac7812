# SPDX-License-Identifier: Apache-2.0
"""What the reviews' tests do in place of people, and what they look up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx
import psutil

from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.airflow_versions import FORM_STATE, HAS_STATE_STORE
from tests.support.standalone import Standalone

#: The fields of a form that are nobody's to change. Without a memory, an answer has to say which question it is to.
CONSTANTS = ["interrupt_id"] if HAS_STATE_STORE else ["interrupt_id", "_question"]

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"


@dataclass(frozen=True)
class Review:
    """One task instance that shows a form."""

    airflow: Standalone
    dag_id: str
    dag_run: str
    task_id: str = "review"
    map_index: int = -1

    @property
    def ti(self) -> dict[str, Any]:
        """The task instance as Airflow's API shows it."""
        return self.airflow.task_instance(self.dag_id, self.dag_run, self.task_id, self.map_index)

    @property
    def path(self) -> str:
        """Where the form is, in Airflow's API."""
        return f"/dags/{self.dag_id}/dagRuns/{self.dag_run}/taskInstances/{self.task_id}/{self.map_index}/hitlDetails"

    @property
    def form(self) -> dict[str, Any]:
        """What a person sees."""
        return dict(self.airflow.call("GET", self.path))

    def wait_for(self, *states: str) -> dict[str, Any]:
        """Wait until the task instance is in one of some states, and return it."""

        def look() -> dict[str, Any] | None:
            tis = self.airflow.task_instances(self.dag_id, self.dag_run)
            found = [ti for ti in tis if (ti["task_id"], ti["map_index"]) == (self.task_id, self.map_index)]
            if found and found[0]["state"] == "failed" and "failed" not in states:
                raise AssertionError(self.log(found[0]["try_number"]))
            return found[0] if found and found[0]["state"] in states else None

        return self.airflow.wait_for(look, f"{self.task_id} be {' or '.join(states)}", 90)

    def shown(self) -> dict[str, Any]:
        """Wait until the form is shown, and return it."""
        self.wait_for(FORM_STATE)
        if not HAS_STATE_STORE:
            # As it also is for a moment while a retry looks up what was answered.
            self.airflow.wait_for(lambda: "HITLTrigger" in str(self.ti["trigger"]), "wait for a person", 60)
        # As a person reads first. Airflow 3.3.2 fails a task that is answered before the scheduler has heard of the
        # end of the worker that showed the form ("finished with state success, but ... is queued").
        pid = self.ti["pid"]
        self.airflow.wait_for(lambda: not pid or not psutil.pid_exists(pid), "see the worker leave", 30)
        time.sleep(1.5)
        return self.form

    def answer(self, *options: str, **fields: Any) -> None:
        """Answer as the page does, which sends all fields."""
        all_fields = {name: field["value"] for name, field in self.form["params"].items()}
        self.airflow.call(
            "PATCH", self.path, json={"chosen_options": list(options), "params_input": {**all_fields, **fields}}
        )

    def try_to_answer(self, *options: str) -> int:
        """Answer, and return the HTTP status."""
        try:
            self.answer(*options)
        except httpx.HTTPStatusError as e:
            return e.response.status_code
        return 200

    def xcom(self, key: str = "return_value") -> Any:
        """Return an XCom value of the task instance."""
        return self.airflow.xcom(self.dag_id, self.dag_run, self.task_id, key, self.map_index)

    def log(self, try_number: int = 1) -> str:
        """Return the log of a try."""
        return self.airflow.task_log(self.dag_id, self.dag_run, self.task_id, try_number, self.map_index)


def interrupted(airflow: Standalone, emulator: Emulator, agent: str) -> tuple[str, list[dict[str, Any]]]:
    """Start a run on the service, wait until it asks, and return its id and its interrupts."""
    run = emulator.service.create_run(agent, business_id=BUSINESS)
    airflow.wait_for(lambda: emulator.service.get_run(run.id).interrupts, "a question", 15)
    return run.id, emulator.service.get_run(run.id).interrupts


def review(airflow: Standalone, emulator: Emulator, agent: str, dag_id: str = "review") -> tuple[Review, str, str]:
    """Have the first question of a new run reviewed; return the review and the ids of the run and the interrupt."""
    run_id, questions = interrupted(airflow, emulator, agent)
    dag_run = airflow.start_dag(dag_id, {"run_id": run_id, "interrupt_id": questions[0]["id"]})
    return Review(airflow, dag_id, dag_run), run_id, questions[0]["id"]


def answers(emulator: Emulator, run_id: str) -> list[tuple[str, Any]]:
    """Return what the service was told about a run: interrupt id and input, in order."""
    return [(answer.interrupt_id, answer.input) for answer in emulator.service.answers if answer.run_id == run_id]
