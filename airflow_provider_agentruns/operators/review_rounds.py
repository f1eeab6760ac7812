# SPDX-License-Identifier: Apache-2.0
"""A task group that sees a run through: wait, let people review what it asks, wait again, and get the output."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

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
        """The run's output, for the tasks behind the group."""
        task: AgentRunOutputOperator = self.children[f"{self.group_id}.{_OUTPUT}"]  # type: ignore[assignment]
        return task.output


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
    Return a task group that waits for a run, has each of its interrupts reviewed, and gets its output.

    In each round, interrupts that are asked at the same time are reviewed side by side. Once the run is done,
    the later rounds are skipped. A run that still asks something after the last round fails the task
    ``output`` with the open questions.

    The output is the XCom value of the task ``output`` in the group; ``.output`` of what is returned leads there.

    :param group_id: The group's id.
    :param run_id: The run's id; a template, or another task's output.
    :param rounds: How often the run may ask, at least 1.
    :param agentruns_conn_id: The Airflow connection; by default that of ``default_args``, or ``agentruns_default``.
    :param artifact_type: Only the artifacts of this type.
    :param deferrable: Whether to wait for the run in the triggerer.
    :param poke_interval: Seconds between two looks at the run, or a ``timedelta``.
    :param timeout: How long each wait for the run may take, in seconds or as a ``timedelta``.
    :param review: What :class:`~airflow_provider_agentruns.operators.agent_run.AgentRunReviewOperator` takes, such
        as ``options``, ``assigned_users``, ``response_timeout`` or ``decide``.
    :raises AgentRunsValueError: If there is no round.
    """
    if rounds < 1:
        raise AgentRunsValueError(f"rounds should be at least 1, not {rounds}")
    # What is not given is for the DAG's default_args.
    common = _given(agentruns_conn_id=agentruns_conn_id, deferrable=deferrable)
    waiting = _given(poke_interval=poke_interval, timeout=timeout)
    known_run: Any = run_id

    @task
    def interrupts(run: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what the run asks, for the reviews to be mapped over."""
        # Airflow maps over a task's whole value only, and the sensor's is more than that.
        found: list[dict[str, Any]] = run["interrupts"]
        return found

    group = ReviewRounds(group_id=group_id)
    with group:
        before: Any = None
        for number in range(1, rounds + 1):
            wait = AgentRunSensor(task_id=f"wait_{number}", run_id=known_run, **waiting, **common)
            if before is None:
                first = wait
                # From here on by way of the first wait: a group that is skipped is skipped as a whole.
                known_run = cast("Any", wait.output)["run_id"]
            else:
                # Skipped, as all that follows, where there was nothing to review: then the run is done.
                before >> wait
            asked = interrupts.override(task_id=f"interrupts_{number}")(cast("Any", wait.output))
            before = AgentRunReviewOperator.partial(
                task_id=f"review_{number}", run_id=known_run, **common, **review
            ).expand(interrupt=asked)
        output = AgentRunOutputOperator(
            task_id=_OUTPUT,
            run_id=known_run,
            artifact_type=artifact_type,
            trigger_rule="none_failed_min_one_success",
            **common,
        )
        [first, before] >> output
    return group


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}
