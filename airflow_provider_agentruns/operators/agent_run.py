# SPDX-License-Identifier: Apache-2.0
"""The operators: start a run and wait for it, get a run's output, answer what a run asks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_agentruns.arguments import check_folder, check_run_id
from airflow_provider_agentruns.base import RUN_ID_KEY, current_attempt, state_store
from airflow_provider_agentruns.exceptions import AgentRunTimeoutError
from airflow_provider_agentruns.operators.base import WaitingOperator
from airflow_provider_agentruns.xcom_values import summary, xcom_value

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_provider_agentruns.models import AgentRun
    from airflow_provider_agentruns.operators.review import AgentRunReviewOperator
    from airflow_provider_agentruns.operators.review_rounds import review_rounds

__all__ = [
    "AgentRunOperator",
    "AgentRunOutputOperator",
    "AgentRunResumeOperator",
    "AgentRunReviewOperator",
    "review_rounds",
]

#: Imported when they are asked for: Airflow's human-in-the-loop operator costs more than all else here.
_REVIEWS = {
    "AgentRunReviewOperator": "airflow_provider_agentruns.operators.review",
    "review_rounds": "airflow_provider_agentruns.operators.review_rounds",
}


def __getattr__(name: str) -> Any:
    if name in _REVIEWS:
        return getattr(import_module(_REVIEWS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class AgentRunOutputOperator(WaitingOperator):
    """
    Gets the output of a run, waiting for its end where needed.

    Its XCom value is the output envelope ``{"artifacts": [...]}`` as the service sent it, with all fields; with
    ``output_path`` it is a reference to that, which :func:`~airflow_provider_agentruns.outputs.load_output` follows.

    :param run_id: The run's id; a template, or another task's output. (templated)
    :param artifact_type: Only the artifacts of this type, e.g. ``cip_summary``. (templated)
    :param wait: Whether to wait for a run that is not completed yet, or to fail then.
    :param on_interrupt: What a run means that asks a person something: ``fail`` the task, or ``wait`` on, since
        somebody answers elsewhere.
    :param poll_interval: Seconds between two looks at the run.
    :param timeout: Seconds, or a ``timedelta``, after which the wait is given up; None for never.
    :param output_path: Where in object storage to put the output, for one that is too large for XCom: the URL of a
        folder, such as ``s3://my_conn@bucket/agent-runs``. (templated)
    :param agentruns_conn_id: The Airflow connection. (templated)
    :param deferrable: Whether to wait in the triggerer, so that no worker is held.
    :raises AgentRunFailedError: If the run ended as ``error``; the message names the failing step.
    :raises AgentRunInterruptedError: If the run asks something and ``on_interrupt`` is ``fail``.
    :raises AgentRunTimeoutError: If ``timeout`` has passed, or the run is not completed and ``wait`` is off.
    """

    template_fields: Sequence[str] = ("run_id", "artifact_type", "agentruns_conn_id", "output_path")

    def __init__(
        self,
        *,
        run_id: str | XComArg,
        artifact_type: str | None = None,
        wait: bool = True,
        on_interrupt: Literal["fail", "wait"] = "fail",
        poll_interval: timedelta | float = 5.0,
        timeout: timedelta | float | None = None,
        output_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_run_id(run_id)
        check_folder(output_path)
        super().__init__(
            wait_for="completed", on_interrupt=on_interrupt, poll_interval=poll_interval, timeout=timeout, **kwargs
        )
        self.run_id = run_id
        self.artifact_type = artifact_type
        self.wait_for_end = wait
        self.output_path = output_path

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the output; defer first where it is not there yet."""
        run_id = str(self.run_id)
        with self.error_boundary():
            run = self.look(run_id)
            if run and not self.wait_for_end and not self.reached(run):
                raise AgentRunTimeoutError(f"Agent run {run_id} is {run.status}, and this task was told not to wait")
            return self._output(self.wait(run_id, run))

    def execute_complete(
        self, context: Context, event: dict[str, Any], deadline: float | None = None
    ) -> dict[str, Any]:
        """Return the output of the run that the trigger has seen end."""
        with self.error_boundary():
            return self._output(self.wait(str(self.run_id), event=event, deadline=deadline))

    def _output(self, run: AgentRun) -> dict[str, Any]:
        output = xcom_value(run, self.output_path, self.artifact_type)
        if self.artifact_type and not output["artifacts"]:
            self.log.warning("Agent run %s has no artifact of type %s", run.id, self.artifact_type)
        return output


class AgentRunOperator(WaitingOperator):
    """
    Starts a run, and waits for it.

    A try that finds that an earlier one has started the run goes on waiting for that run; none is started
    twice, also where a worker died or an answer got lost. Clearing the task starts a new run once the old one
    has ended.

    Its XCom value is the output envelope, as of :class:`AgentRunOutputOperator`; where the wait ends with
    another status than an awaited ``completed``, it is what :class:`AgentRunSensor` gives. The run's id is in XCom
    under ``run_id`` as soon as the run exists.

    :param agent: The agent's type, e.g. ``cip_orchestrator``. (templated)
    :param business_id: Short for ``context_type="business"`` with this ``context_id``. (templated)
    :param context_type: Kind of the resource to work on; goes with ``context_id``. (templated)
    :param context_id: Which resource of that kind. (templated)
    :param thread_id: Run inside this thread; then no context is needed. (templated)
    :param wait_for: One or more of ``completed``, ``interrupted`` and ``error``; none at all to start the run
        and not wait.
    :param on_interrupt: What an interrupt that is not awaited means: ``fail`` the task, or ``wait`` on, since
        somebody answers elsewhere.
    :param poll_interval: Seconds between two looks at the run.
    :param timeout: Seconds, or a ``timedelta``, after which the wait is given up; None for never.
    :param output_path: Where in object storage to put the output, for one that is too large for XCom: the URL of a
        folder, such as ``s3://my_conn@bucket/agent-runs``. (templated)
    :param agentruns_conn_id: The Airflow connection. (templated)
    :param deferrable: Whether to wait in the triggerer, so that no worker is held.
    :raises AgentRunFailedError: If the run ended as ``error``; the message names the failing step.
    :raises AgentRunInterruptedError: If the run asks something and ``on_interrupt`` is ``fail``.
    :raises AgentRunTimeoutError: If ``timeout`` has passed.
    :raises AgentRunStartInDoubtError: If it cannot be told which of several runs an earlier try has started.
    """

    # The run's id is there once the task has ended.
    template_fields: Sequence[str] = (
        "agent",
        "business_id",
        "context_type",
        "context_id",
        "thread_id",
        "agentruns_conn_id",
        "output_path",
        "run_id",
    )
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
        on_interrupt: Literal["fail", "wait"] = "fail",
        poll_interval: timedelta | float = 5.0,
        timeout: timedelta | float | None = None,
        output_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_folder(output_path)
        super().__init__(
            wait_for=wait_for, on_interrupt=on_interrupt, poll_interval=poll_interval, timeout=timeout, **kwargs
        )
        self.agent = agent
        self.business_id = business_id
        self.context_type = context_type
        self.context_id = context_id
        self.thread_id = thread_id
        self.output_path = output_path
        #: The id of the run, once it is known.
        self.run_id = ""

    def run_label_parts(self) -> Sequence[Any]:
        """Return the agent, what it works on, and the run once there is one."""
        return self.agent, self.business_id or self.context_id or self.thread_id, self.run_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the run or find it, then wait for it."""
        from airflow_provider_agentruns import metrics
        from airflow_provider_agentruns.idempotency.create_run import Start, start_once

        with self.error_boundary():
            started = start_once(
                Start(
                    agent=str(self.agent),
                    business_id=_text(self.business_id),
                    context_type=_text(self.context_type),
                    context_id=_text(self.context_id),
                    thread_id=_text(self.thread_id),
                ),
                send=self.hook.send,
                memory=state_store(context),
                attempt=current_attempt(context),
                log=self.log,
            )
            self.run_id = started.run_id
            context["ti"].xcom_push(key=RUN_ID_KEY, value=started.run_id)
            metrics.run_started(self.agentruns_conn_id, str(self.agent), found=not started.fresh)
            return self._result(self.wait(started.run_id, started.run, fresh=started.fresh))

    def execute_complete(
        self, context: Context, event: dict[str, Any], deadline: float | None = None
    ) -> dict[str, Any]:
        """Return what the run came to that the trigger has seen change."""
        self.run_id = event["run_id"]
        with self.error_boundary():
            return self._result(self.wait(event["run_id"], event=event, deadline=deadline))

    def _result(self, run: AgentRun) -> dict[str, Any]:
        if run.status == "completed" and "completed" in self.wait_for:
            return xcom_value(run, self.output_path)
        return summary(run)


class AgentRunResumeOperator(WaitingOperator):
    """
    Answers one pending interrupt of a run, exactly once.

    An interrupt that is not pending is reported and never answered: somebody else may have answered it. After
    any doubt, such as a worker that died or an answer that got lost, the run is read to see whether that very
    question is still open before anything is sent again.

    Its XCom value is ``{"run_id", "status", "interrupt_id"}``.

    :param run_id: The run's id; a template, or another task's output. (templated)
    :param interrupt_id: Which of its pending interrupts. (templated)
    :param input: What the agent asked for: any JSON value. (templated)
    :param wait_for: Statuses to wait for after the answer, of ``completed``, ``interrupted`` and ``error``. By
        default the task ends when the answer is taken.
    :param poll_interval: Seconds between two looks at the run.
    :param timeout: Seconds, or a ``timedelta``, after which the wait is given up; None for never.
    :param agentruns_conn_id: The Airflow connection. (templated)
    :param deferrable: Whether to wait in the triggerer, so that no worker is held.
    :raises AgentRunConflictError: If the interrupt is not pending, or somebody else answered it just now.
    :raises AgentRunInvalidRequestError: If the agent does not take this input.
    :raises AgentRunFailedError: If the run ended as ``error`` while it was waited for.
    """

    template_fields: Sequence[str] = ("run_id", "interrupt_id", "input", "agentruns_conn_id")
    template_fields_renderers = {"input": "json"}  # noqa: RUF012 -- as Airflow declares it

    def __init__(
        self,
        *,
        run_id: str | XComArg,
        interrupt_id: str | XComArg,
        input: Any,  # noqa: A002 -- the service's own word
        wait_for: Collection[str] | str = (),
        poll_interval: timedelta | float = 5.0,
        timeout: timedelta | float | None = None,
        **kwargs: Any,
    ) -> None:
        check_run_id(run_id)
        super().__init__(wait_for=wait_for, on_interrupt="wait", poll_interval=poll_interval, timeout=timeout, **kwargs)
        self.run_id = run_id
        self.interrupt_id = interrupt_id
        self.input = input

    def execute(self, context: Context) -> dict[str, Any]:
        """Answer, unless an earlier try has; then wait, where that is wanted."""
        from airflow_provider_agentruns.operators.answering import answer_interrupt

        run_id = str(self.run_id)
        with self.error_boundary():
            answered = answer_interrupt(self, context, run_id, str(self.interrupt_id), self.input)
            return self._result(self.wait(run_id, answered.run))

    def execute_complete(
        self, context: Context, event: dict[str, Any], deadline: float | None = None
    ) -> dict[str, Any]:
        """Return what became of the run after the answer."""
        with self.error_boundary():
            return self._result(self.wait(str(self.run_id), event=event, deadline=deadline))

    def _result(self, run: AgentRun) -> dict[str, Any]:
        return {"run_id": run.id, "status": str(run.status), "interrupt_id": str(self.interrupt_id)}


def _text(value: object) -> str | None:
    """Return what a template gave, as text; an empty one stands for none."""
    return None if value is None or value == "" else str(value)
