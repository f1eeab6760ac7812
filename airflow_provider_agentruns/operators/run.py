# SPDX-License-Identifier: Apache-2.0
"""The operators that start a run, return its output, and answer an interrupt, and their base class."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_agentruns.arguments import check_output_path, check_run_id, check_seconds, check_wait_for
from airflow_provider_agentruns.base import AgentRunTask, state_store
from airflow_provider_agentruns.exceptions import AgentRunsValueError, AgentRunTimeoutError
from airflow_provider_agentruns.outputs import run_summary, xcom_value
from airflow_provider_agentruns.run_outcome import has_reached
from airflow_provider_agentruns.text import single_line

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_provider_agentruns.models import AgentRun

SUBJECT_FIELDS = ("business_id", "context_type", "context_id", "thread_id")


class WaitingOperator(AgentRunTask):
    """
    An operator that waits for a run, in the triggerer or on its worker.

    :param wait_for: The awaited statuses.
    :param on_interrupt: What to do about an interrupt that is not awaited: ``fail`` the task, or ``wait`` because
        someone answers elsewhere. ``AgentRunResumeOperator`` always waits.
    :param poll_interval: Seconds between two reads of the run.
    :param timeout: The longest wait, in seconds or as a ``timedelta``; None for no limit.
    """

    def __init__(
        self,
        *,
        wait_for: Collection[str] | str = ("completed",),
        on_interrupt: Literal["fail", "wait"] = "fail",
        poll_interval: timedelta | float = 5.0,
        timeout: timedelta | float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for = check_wait_for(wait_for, may_be_empty=True)
        if on_interrupt not in ("fail", "wait"):
            raise AgentRunsValueError(f'on_interrupt should be "fail" or "wait", not {on_interrupt!r}')
        self.on_interrupt = on_interrupt
        self.poll_interval = check_seconds("poll_interval", poll_interval) or 0.0
        self.timeout = check_seconds("timeout", timeout)

    def result(self, run: AgentRun) -> dict[str, Any]:
        """Return the XCom value."""
        raise NotImplementedError

    def execute_complete(self, context: Context, event: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        self.restore_wait(event, **kwargs)
        self.run_id = event["run_id"]
        with self.error_boundary():
            return self.result(self.wait(self.run_id))

    def has_reached(self, run: AgentRun) -> bool:
        """Return whether the wait is over. Raise an error if the run can no longer reach an awaited status."""
        return not self.wait_for or has_reached(run, self.wait_for, fail_on_interrupt=self.on_interrupt == "fail")

    def wait(self, run_id: str, run: AgentRun | None = None, *, is_new: bool = False) -> AgentRun:
        """Wait until the run reaches an awaited status: defer or sleep. ``run`` is a response just received."""
        deadline = self._deadline
        if deadline is None and self.timeout is not None:
            deadline = time.time() + self.timeout
        # The service may answer 404 for a new run at first.
        missing_until = time.time() + 60 if is_new else None
        if run and (run.status != "error" or run.steps):
            self.record(run)
        else:
            # Read it, or read it again with its steps.
            run = None
        has_waited = self._event is not None
        while True:
            run = run or self.read_run(run_id, tolerate_outage=has_waited, missing_until=missing_until)
            if run and self.has_reached(run):
                return run
            if error := self.trigger_error():
                raise error
            if self.deferrable:
                self.defer_wait(
                    run_id,
                    {*self.wait_for, "interrupted"} if self.on_interrupt == "fail" else self.wait_for,
                    poll_interval=self.poll_interval,
                    deadline=deadline,
                    missing_until=missing_until,
                )
            if deadline is not None and time.time() >= deadline:
                status = f"is {single_line(run.status)}" if run else "could not be read"
                raise AgentRunTimeoutError(
                    f"Agent run {single_line(run_id)} {status} after the timeout of {self.timeout:g} s. The run itself "
                    "continues"
                )
            pause = max(0.1, self.poll_interval)
            time.sleep(pause if deadline is None else min(pause, max(0.0, deadline - time.time())))
            has_waited, run = True, None


class AgentRunOperator(WaitingOperator):
    """
    Starts a run and waits for it. A retry finds the run that an earlier try started, and never starts a second one.

    This also holds if a worker died or a response was lost. A cleared task starts a new run only if the old one has
    ended.

    The XCom value is the output envelope, as :class:`AgentRunOutputOperator` returns it. If the wait ends with another
    status than ``completed``, the XCom value is the same as that of ``AgentRunSensor``. As soon as the run exists, the
    XCom key ``run_id`` contains its ID.

    :param agent: The agent's type, such as ``cip_orchestrator``. (templated)
    :param business_id: Short for ``context_type="business"`` with this ``context_id``. (templated)
    :param context_type: The kind of resource to work on; requires ``context_id``. (templated)
    :param context_id: The ID of that resource. (templated)
    :param thread_id: The thread in which the agent runs; needs no context. (templated)
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
        super().__init__(wait_for=() if wait_for == "start" else wait_for, **kwargs)
        self.agent = agent
        self.business_id = business_id
        self.context_type = context_type
        self.context_id = context_id
        self.thread_id = thread_id
        self.output_path = output_path
        #: The run's ID; empty before the run is known.
        self.run_id = ""

    def run_label_parts(self) -> Sequence[Any]:
        return self.agent, self.business_id or self.context_id or self.thread_id, self.run_id[:8]

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_agentruns import metrics
        from airflow_provider_agentruns.idempotency.create_run import start_once
        from airflow_provider_agentruns.idempotency.listing_search import Start

        given = {name: getattr(self, name) for name in SUBJECT_FIELDS}
        # A template can render to an empty text, which means None.
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
            metrics.count(
                "runs.started" if started.is_new else "runs.found", self.agentruns_conn_id, agent=str(self.agent)
            )
            return self.result(self.wait(started.run_id, started.run, is_new=started.is_new))

    def result(self, run: AgentRun) -> dict[str, Any]:
        if run.status == "completed" and "completed" in self.wait_for:
            return xcom_value(run, self.output_path)
        return run_summary(run)


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
        run_id = str(self.run_id)
        with self.error_boundary():
            run = self.read_run(run_id)
            if run and not self.wait_for_end and not self.has_reached(run):
                raise AgentRunTimeoutError(
                    f"Agent run {single_line(run_id)} is {single_line(run.status)}, and this task has wait=False"
                )
            return self.result(self.wait(run_id, run))

    def result(self, run: AgentRun) -> dict[str, Any]:
        value = xcom_value(run, self.output_path, self.artifact_type)
        if self.artifact_type and not value["artifacts"]:
            self.log.warning("Agent run %s has no artifact of type %r", single_line(run.id), self.artifact_type)
        return value


class AgentRunResumeOperator(WaitingOperator):
    """
    Answers one pending interrupt of a run, exactly once.

    If the interrupt is not pending, the task fails, because someone else may have answered it. If a worker dies or a
    response is lost, the task reads the run, and sends the answer again only if the same question is still pending.

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
        run_id = str(self.run_id)
        with self.error_boundary():
            answered = self.answer_interrupt(context, run_id, str(self.interrupt_id), self.input)
            return self.result(self.wait(run_id, answered.run))

    def result(self, run: AgentRun) -> dict[str, Any]:
        return {"run_id": run.id, "status": str(run.status), "interrupt_id": str(self.interrupt_id)}
