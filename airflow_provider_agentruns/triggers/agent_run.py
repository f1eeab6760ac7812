# SPDX-License-Identifier: Apache-2.0
"""The trigger that waits for one run in the triggerer's event loop, so that no worker has to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_agentruns.exceptions import (
    AgentRunNotFoundError,
    AgentRunsAuthError,
    AgentRunsConfigError,
    AgentRunsError,
    AgentRunTimeoutError,
)

if TYPE_CHECKING:
    from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
    from airflow_provider_agentruns.models import RunStatus

#: The shortest time between two looks at a run, in seconds.
SHORTEST_POLL_INTERVAL = 0.1

_LONGEST_PAUSE = 60.0

#: How long the last look may take, in seconds.
_LAST_LOOK = 10.0

#: How often in a row Airflow may know no such connection before the wait ends. A secrets backend that is down for
#: some minutes should end none.
_LOOKS_WITHOUT_CONNECTION = 10


class AgentRunTrigger(BaseTrigger):
    """
    Fires one event when a run has reached an awaited status, or has ended, or cannot be waited for.

    The event is ``{"run_id", "status"}``, or ``{"run_id", "error", "message"}`` with the name of a class of
    :mod:`airflow_provider_agentruns.exceptions`. It says that it is time to look, and who is woken by it
    reads the run itself. A service that is down or over its limit does not end the wait: the trigger goes on
    with longer pauses until ``end_time``. A token that was changed in the connection is picked up.

    :param run_id: The run's id.
    :param agentruns_conn_id: The Airflow connection.
    :param wait_for: The statuses to wait for. The end of the run always ends the wait.
    :param poll_interval: Seconds between two looks, at least 0.1.
    :param end_time: When to give up: seconds since 1970 or a ``datetime``; None for never. A moment and not a
        duration, since it has to outlive a restart of the triggerer.
    :param missing_until: Until when a run that the service does not know counts as not there yet, in seconds
        since 1970; for a run that was started just now.
    """

    def __init__(
        self,
        run_id: str,
        agentruns_conn_id: str = "agentruns_default",
        wait_for: Sequence[str] = ("completed", "interrupted"),
        poll_interval: float = 5.0,
        end_time: float | datetime | None = None,
        missing_until: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.run_id = run_id
        self.agentruns_conn_id = agentruns_conn_id
        self.wait_for = tuple(wait_for)
        self.poll_interval = max(SHORTEST_POLL_INTERVAL, poll_interval)
        self.end_time = end_time.timestamp() if isinstance(end_time, datetime) else end_time
        self.missing_until = missing_until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again in another process; JSON values only."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "run_id": self.run_id,
                "agentruns_conn_id": self.agentruns_conn_id,
                "wait_for": [str(status) for status in self.wait_for],
                "poll_interval": self.poll_interval,
                "end_time": self.end_time,
                "missing_until": self.missing_until,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire the one event."""
        # Not with the module: the triggerer and the DAG processor import triggers that they never run.
        from airflow_provider_agentruns.hooks.agent_run import AgentRunHook

        hook = AgentRunHook(self.agentruns_conn_id)
        try:
            yield TriggerEvent({"run_id": self.run_id, **await self._wait(hook)})  # type: ignore[no-untyped-call]
        finally:
            await hook.aclose()

    async def _wait(self, hook: AgentRunHook) -> dict[str, Any]:
        deadline = None if self.end_time is None else time.monotonic() + self.end_time - time.time()
        last: RunStatus | None = None
        failures = 0
        refused = False
        while True:
            try:
                # A service that hangs must not hold up the end of the wait, after which the scheduler would fail it.
                async with asyncio.timeout(deadline and max(_LAST_LOOK, deadline - time.monotonic())):
                    status = await hook.aget_run_status(self.run_id)
            except TimeoutError:
                failures += 1
            except AgentRunsError as e:
                if isinstance(e, AgentRunsAuthError) and not refused:
                    # The token may have been changed since this wait began: read the connection once more.
                    refused = True
                    await hook.aclose()
                    continue
                lost = isinstance(e, AgentRunsConfigError) and failures >= _LOOKS_WITHOUT_CONNECTION
                if lost or not (e.retryable or self._may_still_appear(e)):
                    return {"error": type(e).__name__, "message": str(e)}
                failures += 1
                self.log.warning("Cannot look at agent run %s, and go on trying: %s", self.run_id, e)
            else:
                failures, refused = 0, False
                if status != last:
                    self.log.info("Agent run %s is %s", self.run_id, status)
                    last = status
                if status.finished or status in self.wait_for:
                    return {"status": str(status)}
            pause = min(self.poll_interval * 2 ** min(failures, 10), max(_LONGEST_PAUSE, self.poll_interval))
            if deadline is not None:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return {
                        "error": AgentRunTimeoutError.__name__,
                        "message": f"agent run {self.run_id} is {last or 'of unknown status'} at the end of the wait",
                    }
                pause = min(pause, remaining)
            await asyncio.sleep(pause)

    def _may_still_appear(self, error: AgentRunsError) -> bool:
        return (
            isinstance(error, AgentRunNotFoundError)
            and self.missing_until is not None
            and time.time() < self.missing_until
        )
