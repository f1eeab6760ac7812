# SPDX-License-Identifier: Apache-2.0
"""The trigger that waits for one run in the triggerer's event loop, so that no worker has to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Literal

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_agentruns.outcomes import check_watch

#: The shortest time between two looks at a run, in seconds.
SHORTEST_POLL_INTERVAL = 0.1


class AgentRunTrigger(BaseTrigger):
    """
    Fires one event when a run has reached an awaited status, or has ended, or cannot be waited for.

    The event is ``{"run_id", "status"}``, or ``{"run_id", "error", "message"}`` with the name of a class of
    :mod:`airflow_provider_agentruns.exceptions`. It says that it is time to look, and who is woken by it
    reads the run itself. A service that is down or over its limit does not end the wait: the trigger goes on
    with longer pauses until ``end_time``. A token that was changed in the connection is picked up.

    All triggers of a connection in one triggerer share one watch, whose cost grows with pages of the listing of
    runs and not with runs; see :mod:`airflow_provider_agentruns.watching`.

    :param run_id: The run's id.
    :param agentruns_conn_id: The Airflow connection.
    :param wait_for: The statuses to wait for. The end of the run always ends the wait.
    :param poll_interval: The longest time that a change goes unnoticed where the connection's rate limit allows
        it, in seconds; at least 0.1.
    :param end_time: When to give up: seconds since 1970 or a ``datetime``; None for never. A moment and not a
        duration, since it has to outlive a restart of the triggerer.
    :param watch: ``poll``, or ``stream`` to follow the run's events as well, for runs whose latency counts.
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
        watch: Literal["poll", "stream"] = "poll",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.run_id = run_id
        self.agentruns_conn_id = agentruns_conn_id
        self.wait_for = tuple(wait_for)
        self.poll_interval = max(SHORTEST_POLL_INTERVAL, poll_interval)
        self.end_time = end_time.timestamp() if isinstance(end_time, datetime) else end_time
        self.missing_until = missing_until
        self.watch = check_watch(watch)

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
                "watch": self.watch,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire the one event."""
        # Not with the module: the triggerer and the DAG processor import triggers that they never run.
        from airflow_provider_agentruns.watching.shared import wait_for_run

        verdict = await wait_for_run(
            self.run_id,
            self.agentruns_conn_id,
            self.wait_for,
            interval=self.poll_interval,
            end=self.end_time,
            missing_until=self.missing_until,
            stream=self.watch == "stream",
            tell=self._tell,
        )
        yield TriggerEvent({"run_id": self.run_id, **verdict})  # type: ignore[no-untyped-call]

    def _tell(self, level: int, message: str, *args: Any) -> None:
        self.log.log(level, message, *args)
