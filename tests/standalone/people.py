# SPDX-License-Identifier: Apache-2.0
"""Reviews, and the people who answer them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import psutil

from airflow_provider_agentruns.emulator.server import Emulator
from tests.support import BUSINESS
from tests.support.airflow_versions import FORM_STATE, HAS_STATE_STORE
from tests.support.standalone import Standalone

#: The constant fields of a form, which show to which question an answer belongs.
CONSTANTS = ["interrupt_id", "_question"]


@dataclass(frozen=True)
class Review:
    airflow: Standalone
    dag_id: str
    dag_run: str
    task_id: str = "review"
    map_index: int = -1

    @property
    def ti(self) -> dict[str, Any]:
        return self.airflow.task_instance(self.dag_id, self.dag_run, self.task_id, self.map_index)

    @property
    def path(self) -> str:
        return f"/dags/{self.dag_id}/dagRuns/{self.dag_run}/taskInstances/{self.task_id}/{self.map_index}/hitlDetails"

    @property
    def form(self) -> dict[str, Any]:
        return dict(self.airflow.call("GET", self.path))

    def wait_for(self, *states: str) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            ti = self.ti
            if ti["state"] == "failed" and "failed" not in states:
                raise AssertionError(self.log(ti["try_number"]))
            return ti if ti["state"] in states else None

        return self.airflow.wait_for(reached, f"bring {self.task_id} to {' or '.join(states)}")

    def shown(self) -> dict[str, Any]:
        """Wait until a person can safely answer the form, and return it."""

        def settled() -> bool:
            ti = self.wait_for(FORM_STATE)
            # Before 3.3, the task is also deferred while a retry looks up an earlier answer.
            if not HAS_STATE_STORE and "HITLTrigger" not in str(ti["trigger"]):
                return False
            # Airflow 3.3.2 fails a task that is answered before its scheduler has noticed the end of the worker
            # ("finished with state success, but ... is queued"). People need longer than that.
            return not ti["pid"] or not psutil.pid_exists(ti["pid"])

        self.airflow.wait_for(settled, "show a form")
        time.sleep(1.5)
        return self.form

    def answer(self, *options: str, **fields: Any) -> None:
        """Answer as Airflow's page does, which sends all fields."""
        values = {name: field["value"] for name, field in self.form["params"].items()}
        body = {"chosen_options": list(options), "params_input": {**values, **fields}}
        self.airflow.call("PATCH", self.path, repeated=409, json=body)

    def clear(self) -> None:
        body = {
            "dry_run": False,
            "dag_run_id": self.dag_run,
            "task_ids": [self.task_id],
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self.airflow.call("POST", f"/dags/{self.dag_id}/clearTaskInstances", json=body)

    def wait_for_dag(self, expected: str = "success") -> None:
        self.airflow.wait_for_dag(self.dag_id, self.dag_run, expected)

    def xcom(self, key: str = "return_value") -> Any:
        return self.airflow.xcom(self.dag_id, self.dag_run, self.task_id, key, self.map_index)

    def log(self, try_number: int = 1) -> str:
        return self.airflow.task_log(self.dag_id, self.dag_run, self.task_id, try_number, self.map_index)


def interrupted(airflow: Standalone, emulator: Emulator, agent: str) -> tuple[str, list[dict[str, Any]]]:
    """Start an agent run, wait until it asks something, and return its ID and its interrupts."""
    run = emulator.service.create_run(agent, business_id=BUSINESS)
    airflow.wait_for(lambda: emulator.service.get_run(run.id).interrupts, "see a question")
    return run.id, emulator.service.get_run(run.id).interrupts


def review(airflow: Standalone, emulator: Emulator, agent: str, dag_id: str = "review") -> tuple[Review, str, str]:
    """Start a review of a new run's first question; return the review and the IDs of the run and the interrupt."""
    run_id, questions = interrupted(airflow, emulator, agent)
    dag_run = airflow.start_dag(dag_id, {"run_id": run_id, "interrupt_id": questions[0]["id"]})
    return Review(airflow, dag_id, dag_run), run_id, questions[0]["id"]


def answers(emulator: Emulator, run_id: str) -> list[tuple[str, Any]]:
    """Return the answers that the service received for a run, in order: interrupt ID and input."""
    return [(answer.interrupt_id, answer.input) for answer in emulator.service.answers if answer.run_id == run_id]


def decisions(emulator: Emulator, run_id: str) -> list[tuple[str, str]]:
    """Return the decisions that the service received for a run, in order: interrupt ID and decision."""
    return [(interrupt_id, sent["decision"]) for interrupt_id, sent in answers(emulator, run_id)]
