# SPDX-License-Identifier: Apache-2.0
"""The base class of the operators that wait for a run."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_agentruns.arguments import check_seconds, check_wait_for
from airflow_provider_agentruns.base import AgentRunTask
from airflow_provider_agentruns.exceptions import AgentRunsValueError, AgentRunTimeoutError
from airflow_provider_agentruns.run_outcome import has_reached
from airflow_provider_agentruns.text import single_line

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_agentruns.models import AgentRun


#: The service may answer 404 for a new run for this long, in seconds.
_NEW_RUN_GRACE = 60.0


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
        """
        Return the run once it has reached an awaited status. Until then, defer or sleep.

        :param run: The run, if it was read just now.
        :param is_new: Whether the run was started just now, so that the service may not show it yet.
        """
        deadline = self._deadline
        if deadline is None and self.timeout is not None:
            deadline = time.time() + self.timeout
        missing_until = time.time() + _NEW_RUN_GRACE if is_new else None
        if run and run.status == "error" and not run.steps:
            # Read it again, with its steps.
            run = None
        if run:
            self.record(run)
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
