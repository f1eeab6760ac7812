# SPDX-License-Identifier: Apache-2.0
"""What the operators that wait for a run have in common."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_agentruns.arguments import check_seconds, check_wait_for
from airflow_provider_agentruns.base import MAY_BE_MISSING, AgentRunTask, trigger_error
from airflow_provider_agentruns.exceptions import AgentRunsValueError, AgentRunTimeoutError
from airflow_provider_agentruns.run_outcome import has_reached

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import AgentRun


class WaitingOperator(AgentRunTask):
    """
    An operator that waits for a run of its own accord.

    :param wait_for: The awaited statuses.
    :param on_interrupt: What an interrupt that is not awaited means: ``fail``, or ``wait`` on.
    :param poll_interval: Seconds between two looks at the run.
    :param timeout: Seconds, or a ``timedelta``, after which the wait is given up; None for never.
    """

    def __init__(
        self,
        *,
        wait_for: Collection[str] | str,
        on_interrupt: Literal["fail", "wait"],
        poll_interval: timedelta | float,
        timeout: timedelta | float | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for = check_wait_for(wait_for, may_be_empty=True)
        if on_interrupt not in ("fail", "wait"):
            raise AgentRunsValueError(f'on_interrupt should be "fail" or "wait", not {on_interrupt!r}')
        self.on_interrupt = on_interrupt
        self.poll_interval = check_seconds("poll_interval", poll_interval) or 0.0
        self.timeout = check_seconds("timeout", timeout)

    def reached(self, run: AgentRun) -> bool:
        """Say whether there is nothing to wait for any more; raise where it cannot come."""
        return not self.wait_for or has_reached(run, self.wait_for, fail_on_interrupt=self.on_interrupt == "fail")

    def wait(
        self,
        run_id: str,
        run: AgentRun | None = None,
        *,
        fresh: bool = False,
        event: dict[str, Any] | None = None,
        deadline: float | None = None,
    ) -> AgentRun:
        """
        Return the run once it has reached an awaited status; defer meanwhile where that is wanted.

        :param run: The run as it was just seen, where it was.
        :param fresh: Whether it was started just now, so that the service may not show it yet.
        :param event: What a trigger fired.
        :param deadline: When the wait ends, in seconds since 1970; None if it begins here.
        """
        if deadline is None and self.timeout is not None:
            deadline = time.time() + self.timeout
        missing_until = time.time() + MAY_BE_MISSING if fresh else None
        error = trigger_error(event)
        if event:
            # The triggerer has logged it.
            self._seen = event.get("status")
        elif run:
            self.saw(run)
        # Who is woken has been waiting.
        looked = event is not None
        while True:
            run = run or self.look(run_id, patient=looked, missing_until=missing_until)
            if run and self.reached(run):
                return run
            if error:
                raise error
            if self.deferrable:
                self.defer_for(
                    run_id,
                    {*self.wait_for, "interrupted"} if self.on_interrupt == "fail" else self.wait_for,
                    poll_interval=self.poll_interval,
                    deadline=deadline,
                    missing_until=missing_until,
                )
            pause = max(0.1, self.poll_interval)
            if deadline is not None:
                if (remaining := deadline - time.time()) <= 0:
                    raise AgentRunTimeoutError(
                        f"Agent run {run_id} is {run.status if run else 'out of sight'} after the timeout of "
                        f"{self.timeout:g} s. The run itself goes on"
                    )
                pause = min(pause, remaining)
            time.sleep(pause)
            looked, run = True, None
