# SPDX-License-Identifier: Apache-2.0
"""A task group that waits for a run, lets people review what it asks, and returns its output."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup, task

from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.operators.output import AgentRunOutputOperator
from airflow_provider_agentruns.operators.review import AgentRunReviewOperator
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor

if TYPE_CHECKING:
    from airflow.sdk import XComArg


_OUTPUT = "output"


class ReviewRounds(TaskGroup):
    """The task group that :func:`review_rounds` returns."""

    @property
    def output(self) -> XComArg:
        """The output of the run, for downstream tasks."""
        task: AgentRunOutputOperator = self.children[f"{self.group_id}.{_OUTPUT}"]  # type: ignore[assignment]
        return task.output


@task
def _interrupts(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the run asks. Airflow can map reviews over a complete XCom value only."""
    return list(run["interrupts"])


def review_rounds(
    group_id: str,
    run_id: str | XComArg,
    rounds: int = 3,
    *,
    agentruns_conn_id: str | None = None,
    artifact_type: str | None = None,
    deferrable: bool | None = None,
    poke_interval: timedelta | float | None = None,
    timeout: timedelta | float | None = None,
    **review: Any,
) -> ReviewRounds:
    """
    Return a task group that waits for a run, lets people review each of its interrupts, and returns its output.

    Each round reviews the interrupts that are pending at the same time side by side. When the run is completed, later
    rounds are skipped. A run that is still interrupted after the last round fails the task ``output``, whose message
    lists the open questions.

    The run's output is the XCom value of the task ``output`` in the group. Downstream tasks use ``.output`` of the
    returned group.

    :param group_id: The ID of the group.
    :param run_id: The ID of the run: a template, or another task's output.
    :param rounds: How many times the run may ask, at least 1.
    :param agentruns_conn_id: The ID of the Airflow connection. Defaults to that in ``default_args``, or
        ``agentruns_default``.
    :param artifact_type: Return only artifacts of this type.
    :param deferrable: Whether to wait for the run in the triggerer.
    :param poke_interval: Seconds between two reads of the run, or a ``timedelta``.
    :param timeout: How long each wait for the run may take, in seconds or as a ``timedelta``.
    :param review: Arguments of :class:`~airflow_provider_agentruns.operators.agent_run.AgentRunReviewOperator`, such
        as ``options``, ``assigned_users``, ``response_timeout``, or ``decide``.
    :raises AgentRunsValueError: If ``rounds`` is less than 1.
    """
    if rounds < 1:
        raise AgentRunsValueError(f"rounds should be at least 1, not {rounds}")
    # Arguments that are not given come from the DAG's default_args.
    common = _given(agentruns_conn_id=agentruns_conn_id, deferrable=deferrable)
    wait_arguments = _given(poke_interval=poke_interval, timeout=timeout) | common

    group = ReviewRounds(group_id=group_id)
    with group:
        first: Any = AgentRunSensor(task_id="wait_1", run_id=run_id, **wait_arguments)
        # All other tasks get the ID from the first, so that a group that is skipped is skipped completely.
        known_run = first.output["run_id"]
        wait, last = first, None
        for number in range(1, rounds + 1):
            if last is not None:
                wait = AgentRunSensor(task_id=f"wait_{number}", run_id=known_run, **wait_arguments)
                # Skipped if nothing was reviewed, because the run is completed then.
                last >> wait
            asked = _interrupts.override(task_id=f"interrupts_{number}")(wait.output)
            last = AgentRunReviewOperator.partial(
                task_id=f"review_{number}", run_id=known_run, **common, **review
            ).expand(interrupt=asked)
        output = AgentRunOutputOperator(
            task_id=_OUTPUT,
            run_id=known_run,
            artifact_type=artifact_type,
            trigger_rule="none_failed_min_one_success",
            **common,
        )
        [first, last] >> output
    return group


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}
