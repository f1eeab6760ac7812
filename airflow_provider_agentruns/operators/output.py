# SPDX-License-Identifier: Apache-2.0
"""``AgentRunOutputOperator``: returns the output of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.arguments import check_output_path, check_run_id
from airflow_provider_agentruns.exceptions import AgentRunTimeoutError
from airflow_provider_agentruns.operators.base import WaitingOperator
from airflow_provider_agentruns.outputs import xcom_value
from airflow_provider_agentruns.text import single_line

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_provider_agentruns.models import AgentRun


class AgentRunOutputOperator(WaitingOperator):
    """
    Returns the output of a run, and waits for the run if necessary.

    The XCom value is the output envelope ``{"artifacts": [...]}`` as the service sent it, with all fields. With
    ``output_path``, it is a reference that :func:`~airflow_provider_agentruns.outputs.load_output` resolves.

    :param run_id: The run's ID, as a template or another task's output. (templated)
    :param artifact_type: Return only artifacts of this type, such as ``cip_summary``. (templated)
    :param wait: Whether to wait for a run that has not completed. If False, such a run fails the task.
    :param output_path: The URL of a folder in object storage, such as ``s3://my_conn@bucket/agent-runs``, for an output
        that is too large for XCom. (templated)
    :raises AgentRunFailedError: If the run ended as ``error``. The message names the failing step.
    :raises AgentRunInterruptedError: If the run asks something and ``on_interrupt`` is ``fail``.
    :raises AgentRunTimeoutError: If ``timeout`` has passed, or the run has not completed and ``wait`` is False.
    """

    template_fields: Sequence[str] = ("run_id", "artifact_type", "agentruns_conn_id", "output_path")

    def __init__(
        self,
        *,
        run_id: str | XComArg,
        artifact_type: str | None = None,
        wait: bool = True,
        output_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_run_id(run_id)
        check_output_path(output_path)
        super().__init__(**kwargs)
        self.run_id = run_id
        self.artifact_type = artifact_type
        self.wait_for_end = wait
        self.output_path = output_path

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the output. Defers if the run has not completed."""
        run_id = str(self.run_id)
        with self.error_boundary():
            run = self.read_run(run_id)
            if run and not self.wait_for_end and not self.has_reached(run):
                raise AgentRunTimeoutError(
                    f"Agent run {single_line(run_id)} is {single_line(run.status)}, and this task has wait=False"
                )
            return self.result(self.wait(run_id, run))

    def result(self, run: AgentRun) -> dict[str, Any]:
        """Return the XCom value."""
        value = xcom_value(run, self.output_path, self.artifact_type)
        if self.artifact_type and not value["artifacts"]:
            self.log.warning("Agent run %s has no artifact of type %r", single_line(run.id), self.artifact_type)
        return value
