# SPDX-License-Identifier: Apache-2.0
"""The components that use the service: the columns of the table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from airflow_provider_agentruns.operators.agent_run import AgentRunReviewOperator
from airflow_provider_agentruns.reviews.state import ReviewState
from tests.support.airflow_versions import HAS_STATE_STORE

RUN = "/v1/runs/[^/]+"

#: The event with which Airflow resumes a review after a person has answered.
_FORM_EVENT = {
    "chosen_options": ["Approve"],
    "params_input": {},
    "responded_at": "2026-01-31T12:00:00+00:00",
    "responded_by_user": {"id": "ann", "name": "Ann"},
    "timedout": False,
}

#: Task IDs and the exceptions of the tasks.
EXCEPTIONS: dict[str, list[BaseException]] = {}


def record_exception(context: Any) -> None:
    """Airflow calls this function after a failed try of a task."""
    EXCEPTIONS.setdefault(context["ti"].task_id, []).append(context["exception"])


class AnsweredReview(AgentRunReviewOperator):
    """A review whose first try begins with a person's answer, because ``dag.test()`` cannot answer a form."""

    def execute(self, context: Any) -> Any:
        """Continue with the answer, in the first try only if later tries find it in the state store."""
        if context["ti"].try_number == 1 or not HAS_STATE_STORE:
            run, interrupt = self._pending(None)
            state = ReviewState.begin(run, interrupt, context["ti"].max_tries, None)
            return self.execute_complete(context, _FORM_EVENT, asdict(state))
        return super().execute(context)


@dataclass(frozen=True, slots=True)
class Component:
    """
    One component.

    :param method: The method of the request that a fault applies to. ``path`` is a regular expression for its path.
    :param after: The number of such requests to spare first.
    :param task: The task in a DAG file, if it is one.
    :param waits: Whether it is a trigger.
    """

    title: str
    method: str = "GET"
    path: str = RUN
    after: int = 0
    task: str = ""
    does: Literal["read", "start", "answer"] = "read"
    waits: bool = False


_SENSOR = 'AgentRunSensor(run_id="{run}", wait_for="completed", timeout=120, poke_interval=0.1, '
_OUTPUT = 'AgentRunOutputOperator(run_id="{run}", timeout=120, deferrable=True, '
_START = (
    'AgentRunOperator(agent="patient", business_id="{business}", on_interrupt="wait", timeout=120, poll_interval=0.1, '
)
_ANSWERS: dict[str, Any] = {"method": "POST", "path": RUN + "/resume", "does": "answer"}
_STARTED: dict[str, Any] = {"method": "POST", "path": "/v1/runs", "does": "start"}

COMPONENTS = {
    "hook": Component("hook, sync"),
    "hook_async": Component("hook, async"),
    "sensor_poke": Component("sensor, poke", after=1, task=_SENSOR + 'mode="poke", '),
    "sensor_reschedule": Component("sensor, reschedule", after=1, task=_SENSOR + 'mode="reschedule", '),
    "sensor_deferrable": Component("sensor, deferrable", after=1, task=_SENSOR + "deferrable=True, "),
    "output": Component("output operator", task=_OUTPUT),
    "start": Component("run operator, blocking", task=_START + "deferrable=False, ", **_STARTED),
    "start_deferrable": Component("run operator, deferrable", task=_START + "deferrable=True, ", **_STARTED),
    "resume": Component(
        "resume operator",
        task='AgentRunResumeOperator(run_id="{run}", interrupt_id="{interrupt}", input="yes", ',
        **_ANSWERS,
    ),
    "review": Component("review operator", task='AnsweredReview(run_id="{run}", interrupt="{interrupt}", ', **_ANSWERS),
    "trigger": Component("trigger, poll", path="/v1/runs(/[^/]+)?", waits=True),
    "trigger_stream": Component("trigger, stream", path=RUN + "/stream", waits=True),
    "events": Component("event trigger", path="/v1/runs(/[^/]+)?", waits=True),
}

TASKS = {name: component for name, component in COMPONENTS.items() if component.task}
