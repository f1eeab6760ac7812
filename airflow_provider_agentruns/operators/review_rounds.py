# SPDX-License-Identifier: Apache-2.0
"""A task group that waits for a run, lets people review what it asks, and returns its output."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup

from airflow_provider_agentruns.audit.trail import TRAIL
from airflow_provider_agentruns.base import AgentRunTask
from airflow_provider_agentruns.exceptions import AgentRunInterruptedError, AgentRunsError, AgentRunsValueError
from airflow_provider_agentruns.operators.review import DEFAULT_RETRIES, DEFAULT_RETRY_DELAY, AgentRunReviewOperator
from airflow_provider_agentruns.operators.run import AgentRunOutputOperator
from airflow_provider_agentruns.run_outcome import describe_questions
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor
from airflow_provider_agentruns.text import digest, single_line

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_provider_agentruns.models import AgentRun, Interrupt

_OUTPUT = "output"
#: Seconds between reads of a run while the response is outdated or lacks the question.
_PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


def open_questions(run: AgentRun, trails: Sequence[Mapping[str, Any]]) -> list[Interrupt] | None:
    """Return a run's questions that ``trails`` did not answer; None if the response is outdated or lacks questions."""
    if run.status.finished:
        return []
    if any(_seconds_since(trail, run) < 0 for trail in trails):
        return None
    # An agent can ask the same question again, but then the run has changed since the answer.
    just_answered = {(one.get("interrupt_id"), one.get("question")) for one in trails if _seconds_since(one, run) == 0}
    # A question that is listed twice needs one form.
    asked = {(one.id, digest(one.value)): one for one in run.interrupts}
    found = [interrupt for key, interrupt in asked.items() if key not in just_answered]
    return found or (None if run.status == "interrupted" else [])


def _seconds_since(trail: Mapping[str, Any], run: AgentRun) -> int:
    """Return the seconds from an answer to the run's last change; 0 if unknown."""
    if not run.updated_at or not (answered_at := trail.get("run_updated_at")):
        return 0
    # Whole seconds, because responses of one service can differ in precision.
    return int(run.updated_at.timestamp()) - int(datetime.fromisoformat(answered_at).timestamp())


class ReviewRounds(TaskGroup):
    """The task group that :func:`review_rounds` returns."""

    @property
    def output(self) -> XComArg:
        """The run's output, for downstream tasks."""
        task: AgentRunOutputOperator = self.children[f"{self.group_id}.{_OUTPUT}"]  # type: ignore[assignment]
        return task.output


class _ReadsNewQuestions(AgentRunTask):
    """A task that ignores questions that an earlier round has answered. ``answered`` has the trails of each round."""

    def __init__(self, *, answered: Sequence[Any] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.answered = answered

    @cached_property
    def _trails(self) -> list[Any]:
        # Each iteration reads XCom.
        return [trail for trails in self.answered for trail in trails]

    def read_run(self, run_id: str, **options: Any) -> AgentRun | None:
        """Read the run until the response is current. An interrupted run must show an open question."""
        for pause in _PAUSES:
            time.sleep(pause)
            if (run := super().read_run(run_id, **options)) is None:
                return None
            if (found := open_questions(run, self._trails)) is not None:
                return run.model_copy(update={"interrupts": found})
        raise AgentRunsError(
            f"Agent run {single_line(run_id)} is {single_line(self._last_status)}. The service returned an outdated "
            "state of the run, or no question, so nobody was asked. To read the run again, clear this task"
        )


class ReviewRoundSensor(_ReadsNewQuestions, AgentRunSensor):
    """Waits before a round. Returns only the interrupts, because Airflow maps tasks over a complete XCom value."""

    template_fields: Sequence[str] = (*AgentRunSensor.template_fields, "answered")

    def execute(self, context: Context) -> list[dict[str, Any]]:
        interrupts: list[dict[str, Any]] = super().execute(context)["interrupts"]
        return interrupts


class ReviewRoundsOutputOperator(_ReadsNewQuestions, AgentRunOutputOperator):
    """Returns the output of the run after the last round."""

    template_fields: Sequence[str] = (*AgentRunOutputOperator.template_fields, "answered")

    def has_reached(self, run: AgentRun) -> bool:
        """Return whether the run has completed. If it still asks, raise an error that Airflow does not retry."""
        try:
            return super().has_reached(run)
        except AgentRunInterruptedError:
            error = AgentRunInterruptedError(
                f"Agent run {single_line(run.id)} still waits for a person after the last round: "
                f"{describe_questions(run)}. Answer with AgentRunReviewOperator or AgentRunResumeOperator in another "
                "DAG, and clear this task. For later runs, increase rounds in review_rounds"
            )
            error.retryable = False
            raise error from None


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
    retries: int | None = None,
    retry_delay: timedelta | float | None = None,
    **review: Any,
) -> ReviewRounds:
    """
    Return a task group that waits for a run, lets people review each of its interrupts, and returns its output.

    Each round reviews all pending interrupts in parallel. If the run completes, later rounds are skipped. If it still
    asks after the last round, the task ``output`` fails with the open questions, without a retry.

    The output is the XCom value of the task ``output``. Downstream tasks use ``.output`` of the returned group.

    :param run_id: The run's ID, as a template or another task's output.
    :param rounds: How many times the run may ask, at least 1.
    :param agentruns_conn_id: The Airflow connection. Defaults to ``default_args``, or ``agentruns_default``.
    :param artifact_type: Return only artifacts of this type.
    :param deferrable: Whether to wait for the run in the triggerer.
    :param poke_interval: Seconds between two reads of the run, or a ``timedelta``.
    :param timeout: The maximum duration of each wait for the run, in seconds or as a ``timedelta``.
    :param retries: Retries of each task. Defaults to ``default_args``, Airflow's configuration, or 3.
    :param retry_delay: Seconds between two tries, or a ``timedelta``.
    :param review: Arguments of :class:`~airflow_provider_agentruns.operators.agent_run.AgentRunReviewOperator`.
    :raises AgentRunsValueError: If ``rounds`` is less than 1, or the group is inside a mapped task group.
    """
    if rounds < 1:
        raise AgentRunsValueError(f"rounds should be at least 1, not {rounds}")
    group = ReviewRounds(group_id=group_id)
    given = _given(agentruns_conn_id=agentruns_conn_id, deferrable=deferrable, retries=retries, retry_delay=retry_delay)
    author_defaults = {**(group.dag.default_args if group.dag else {}), **group.default_args}
    # Not in the group's default_args, because an author can add other tasks, for which a retry may not be safe.
    defaults = {"retries": DEFAULT_RETRIES, "retry_delay": DEFAULT_RETRY_DELAY}
    common = {name: value for name, value in defaults.items() if name not in author_defaults} | given
    wait_arguments = _given(poke_interval=poke_interval, timeout=timeout) | common
    with group:
        first: Any = ReviewRoundSensor(task_id="wait_1", run_id=run_id, **wait_arguments)
        # All other tasks get the ID from the first, so that a group that is skipped is skipped completely.
        known_run = first.output["run_id"]
        reviews: list[Any] = []
        for number in range(1, rounds + 1):
            wait = first
            if reviews:
                trails = [reviews[-1].output[TRAIL]]
                wait = ReviewRoundSensor(task_id=f"wait_{number}", run_id=known_run, answered=trails, **wait_arguments)
                # Skipped if nothing was reviewed, because the run has completed.
                reviews[-1] >> wait
            unmapped = AgentRunReviewOperator.partial(task_id=f"review_{number}", run_id=known_run, **common, **review)
            try:
                reviews.append(unmapped.expand(interrupt=wait.output))
            except NotImplementedError:
                raise AgentRunsValueError(
                    f"review_rounds {group_id!r} is inside a mapped task group, where Airflow cannot map its reviews. "
                    "Call review_rounds once for each run, or put it into a DAG of its own, and start that DAG for "
                    "each run with TriggerDagRunOperator.partial(...).expand(conf=...)"
                ) from None
        output = ReviewRoundsOutputOperator(
            task_id=_OUTPUT,
            run_id=known_run,
            answered=[one.output[TRAIL] for one in reviews],
            artifact_type=artifact_type,
            trigger_rule="none_failed_min_one_success",
            **_given(poll_interval=poke_interval, timeout=timeout),
            **common,
        )
        [first, reviews[-1]] >> output
    return group


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}
