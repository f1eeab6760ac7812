# SPDX-License-Identifier: Apache-2.0
"""A review outside Airflow: its service over HTTP, its stored state, and the form that Airflow's supervisor holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk.execution_time.comms import CreateHITLDetailPayload

from airflow_provider_agentruns.operators.agent_run import AgentRunReviewOperator
from tests.support.airflow_versions import HAS_STATE_STORE
from tests.support.scripted_server import Received, Reply, answer, errors
from tests.support.state_store import StateStore

QUESTION = {"label": "Right?", "artifacts": [{"id": "a-1", "title": "Report"}]}
ANN = {"id": "ann", "name": "Ann"}
RUN = {"object": "run", "id": "r-1", "agent": "some_agent", "thread_id": "t-1"}


class Service:
    """
    Serves one run that asks questions.

    :ivar pending: The value that each pending interrupt asks.
    :ivar answers: The answers, with the ID of each interrupt.
    :ivar ratings: The bodies of ratings.
    :ivar reject: The reply to answers, if not the usual one.
    :ivar reject_rating: The reply to ratings, if not the usual one.
    :ivar more: Further interrupts, with an ID that may exist already.
    :ivar outdated: The interrupts in the next responses, which show the run as it was a month ago.
    """

    def __init__(self) -> None:
        self.pending: dict[str, Any] = {"int-1": QUESTION}
        self.answers: list[tuple[str, Any]] = []
        self.ratings: list[dict[str, Any]] = []
        self.reject: Reply | None = None
        self.reject_rating: Reply | None = None
        self.more: list[tuple[str, Any]] = []
        self.outdated: list[list[tuple[str, Any]]] = []
        self.updated_at = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def __call__(self, request: Received) -> Reply:
        if request.method == "POST" and request.path.endswith("/resume"):
            if self.reject:
                return self.reject
            if request.json["interrupt_id"] not in self.pending:
                return errors(409, "not pending")
            del self.pending[request.json["interrupt_id"]]
            self.answers.append((request.json["interrupt_id"], request.json["input"]))
        elif request.method == "POST":
            self.ratings.append(request.json)
            return self.reject_rating or answer({"object": "artifact_rating", **request.json}, 201)
        if request.method == "GET" and self.outdated:
            return self._run(self.outdated.pop(0), datetime(2026, 1, 1, tzinfo=UTC))
        return self._run([*self.pending.items(), *self.more], self.updated_at)

    def _run(self, pending: list[tuple[str, Any]], updated_at: datetime) -> Reply:
        interrupts = [{"id": name, "agent": "some_agent", "value": value} for name, value in pending]
        status = "interrupted" if interrupts else "running"
        return answer({**RUN, "status": status, "interrupts": interrupts, "updated_at": updated_at.isoformat()})


class Supervisor:
    """Holds a task instance's form: the first one, as Airflow does."""

    def __init__(self) -> None:
        self.form: CreateHITLDetailPayload | None = None

    def send(self, msg: Any) -> Any:
        """Create the form, and return the one that is held. Ignores other messages, such as secrets to mask."""
        if not isinstance(msg, CreateHITLDetailPayload):
            return None
        self.form = self.form or msg.model_copy(deep=True)
        return self.form


class TaskInstance:
    """A task instance of a review, try after try."""

    def __init__(self, *, has_store: bool = HAS_STATE_STORE) -> None:
        self.id, self.map_index = uuid4(), -1
        self.dag_id, self.run_id, self.task_id = "reviews", "manual", "review"
        self.try_number, self.max_tries = 1, 2
        self.xcoms: dict[str, Any] = {}
        self.store = StateStore() if has_store else None

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    @property
    def context(self) -> Any:
        dag_run = SimpleNamespace(start_date=datetime.now(UTC), run_after=datetime.now(UTC))
        context = {"ti": self, "task_instance": self, "dag_run": dag_run}
        return context | ({"task_state_store": self.store} if self.store else {})


def review(**arguments: Any) -> AgentRunReviewOperator:
    given = {"task_id": "review", "run_id": "r-1", "interrupt": "int-1", "retries": 2, **arguments}
    return AgentRunReviewOperator(**given)


def event(*chosen: str, **entered: Any) -> dict[str, Any]:
    """Return the event with which Airflow resumes a task after a person answered."""
    return {
        "chosen_options": list(chosen),
        "params_input": {"interrupt_id": "int-1", **entered},
        "responded_at": datetime.now(UTC),
        "responded_by_user": ANN,
        "timedout": False,
    }


def constants(supervisor: Supervisor) -> dict[str, Any]:
    """Return the constant fields of the form, which a browser sends back."""
    assert supervisor.form
    fields = (supervisor.form.params or {}).items()
    return {name: field["value"] for name, field in fields if "const" in field["schema"]}


def clear(ti: TaskInstance, state: str = "kept") -> None:
    """Clear the task instance, as a person does, and begin its next try."""
    ti.try_number += 1
    ti.max_tries += 3
    ti.xcoms = {}
    if state == "lost" and ti.store:
        ti.store = StateStore()


def run_again(ti: TaskInstance, task: AgentRunReviewOperator, held: dict[str, Any]) -> Any:
    """Execute the next try, for which Airflow holds this form or answer."""
    try:
        return task.execute(ti.context)
    except TaskDeferred as deferred:
        return getattr(task, deferred.method_name)(ti.context, held)
