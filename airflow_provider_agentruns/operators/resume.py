# SPDX-License-Identifier: Apache-2.0
"""``AgentRunResumeOperator``: answers one interrupt of a run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.arguments import check_run_id
from airflow_provider_agentruns.operators.base import WaitingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_provider_agentruns.models import AgentRun


class AgentRunResumeOperator(WaitingOperator):
    """
    Answers one pending interrupt of a run, exactly once.

    An interrupt that is not pending fails the task, because someone else may have answered it. After any doubt, such as
    a worker that died or a response that was lost, the task reads the run and sends again only if the same question is
    still open.

    The XCom value is ``{"run_id", "status", "interrupt_id"}``.

    :param run_id: The run's ID, as a template or another task's output. (templated)
    :param interrupt_id: The ID of the pending interrupt. (templated)
    :param input: The answer: any JSON value. (templated)
    :param wait_for: Statuses to wait for after the answer: ``completed``, ``interrupted``, ``error``. By default, the
        task ends when the service has accepted the answer.
    :raises AgentRunConflictError: If the interrupt is not pending, or someone else answered it at the same time.
    :raises AgentRunInvalidRequestError: If the agent rejects this input.
    :raises AgentRunFailedError: If the run ended as ``error`` during the wait.
    """

    template_fields: Sequence[str] = ("run_id", "interrupt_id", "input", "agentruns_conn_id")
    template_fields_renderers = {"input": "json"}  # noqa: RUF012 -- as Airflow declares it

    def __init__(
        self,
        *,
        run_id: str | XComArg,
        interrupt_id: str | XComArg,
        input: Any,  # noqa: A002 -- the service's own name
        wait_for: Collection[str] | str = (),
        **kwargs: Any,
    ) -> None:
        check_run_id(run_id)
        super().__init__(wait_for=wait_for, on_interrupt="wait", **kwargs)
        self.run_id = run_id
        self.interrupt_id = interrupt_id
        self.input = input

    def execute(self, context: Context) -> dict[str, Any]:
        """Answer the interrupt unless an earlier try has, then wait if the author asked for it."""
        from airflow_provider_agentruns.operators.answering import answer_interrupt

        run_id = str(self.run_id)
        with self.error_boundary():
            answered = answer_interrupt(self, context, run_id, str(self.interrupt_id), self.input)
            return self.result(self.wait(run_id, answered.run))

    def result(self, run: AgentRun) -> dict[str, Any]:
        """Return the XCom value."""
        return {"run_id": run.id, "status": str(run.status), "interrupt_id": str(self.interrupt_id)}
