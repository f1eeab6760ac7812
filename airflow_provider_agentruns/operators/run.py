# SPDX-License-Identifier: Apache-2.0
"""``AgentRunOperator``: starts a run once, and waits for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.arguments import check_output_path
from airflow_provider_agentruns.base import state_store
from airflow_provider_agentruns.operators.base import WaitingOperator
from airflow_provider_agentruns.outputs import run_summary, xcom_value

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_provider_agentruns.models import AgentRun

#: The ``wait_for`` of a task that only starts its run.
START = "start"

#: The arguments that name the subject of a run.
SUBJECT_FIELDS = ("business_id", "context_type", "context_id", "thread_id")


class AgentRunOperator(WaitingOperator):
    """
    Starts a run and waits for it. A retry finds the run that an earlier try started, and never starts a second one.

    This also holds if a worker died or a response was lost. Clearing the task starts a new run once the old one has
    ended.

    The XCom value is the output envelope, as of :class:`AgentRunOutputOperator`. If the run ends the wait with another
    status than ``completed``, it is the value of :class:`AgentRunSensor`. The run's ID is under the XCom key ``run_id``
    as soon as the run exists.

    :param agent: The agent's type, such as ``cip_orchestrator``. (templated)
    :param business_id: Short for ``context_type="business"`` with this ``context_id``. (templated)
    :param context_type: The kind of resource to work on; requires ``context_id``. (templated)
    :param context_id: The ID of that resource. (templated)
    :param thread_id: Run inside this thread; needs no context. (templated)
    :param wait_for: One or more of ``completed``, ``interrupted``, and ``error``. With ``start``, or if empty, the task
        only starts the run.
    :param output_path: The URL of a folder in object storage, such as ``s3://my_conn@bucket/agent-runs``, for an output
        that is too large for XCom. (templated)
    :raises AgentRunFailedError: If the run ended as ``error``. The message names the failing step.
    :raises AgentRunInterruptedError: If the run asks something and ``on_interrupt`` is ``fail``.
    :raises AgentRunTimeoutError: If ``timeout`` has passed.
    :raises AgentRunStartInDoubtError: If several runs could be the one that an earlier try started.
    """

    template_fields: Sequence[str] = ("agent", *SUBJECT_FIELDS, "agentruns_conn_id", "output_path", "run_id")
    # So that the page of the task instance shows the run's ID.
    overwrite_rtif_after_execution = True

    def __init__(
        self,
        *,
        agent: str | XComArg,
        business_id: str | XComArg | None = None,
        context_type: str | None = None,
        context_id: str | XComArg | None = None,
        thread_id: str | XComArg | None = None,
        wait_for: Collection[str] | str = ("completed",),
        output_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_output_path(output_path)
        super().__init__(wait_for=() if wait_for == START else wait_for, **kwargs)
        self.agent = agent
        self.business_id = business_id
        self.context_type = context_type
        self.context_id = context_id
        self.thread_id = thread_id
        self.output_path = output_path
        #: The run's ID; empty before the run is known.
        self.run_id = ""

    def run_label_parts(self) -> Sequence[Any]:
        """Return the agent, its subject, and the start of the run's ID."""
        return self.agent, self.business_id or self.context_id or self.thread_id, self.run_id[:8]

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the run, or find the one that an earlier try started, and wait for it."""
        from airflow_provider_agentruns import metrics
        from airflow_provider_agentruns.idempotency.create_run import start_once
        from airflow_provider_agentruns.idempotency.listing_search import Start

        given = {name: getattr(self, name) for name in SUBJECT_FIELDS}
        # An empty text, such as of a template, means None.
        subject = {name: str(value) for name, value in given.items() if value not in (None, "")}
        with self.error_boundary():
            started = start_once(
                Start(str(self.agent), **subject),
                send=self.hook.send,
                store=state_store(context),
                attempt=self.current_attempt(context),
            )
            self.run_id = started.run_id
            self.push_run_id(context, started.run_id)
            metrics.run_started(self.agentruns_conn_id, str(self.agent), found=not started.is_new)
            return self.result(self.wait(started.run_id, started.run, is_new=started.is_new))

    def result(self, run: AgentRun) -> dict[str, Any]:
        """Return the XCom value."""
        if run.status == "completed" and "completed" in self.wait_for:
            return xcom_value(run, self.output_path)
        return run_summary(run)
