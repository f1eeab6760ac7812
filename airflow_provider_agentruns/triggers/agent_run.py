# SPDX-License-Identifier: Apache-2.0
"""``AgentRunTrigger`` waits for one run. ``AgentRunEventTrigger`` creates asset events for all runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Hashable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_provider_agentruns.airflow_adapter.asset_state import asset_state_stores
from airflow_provider_agentruns.arguments import AWAITABLE, check_agent, check_wait_for, check_watch, log_unknown

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import SharedStreamProducer

    from airflow_provider_agentruns.events.cursor_store import CursorStore
    from airflow_provider_agentruns.events.run_tracker import RunSnapshot
    from airflow_provider_agentruns.events.stored_event_stream import Batch

#: The shortest time between two reads of a run, in seconds.
SHORTEST_POLL_INTERVAL = 0.1

#: The shortest interval between two polls for events, in seconds.
SHORTEST_EVENT_INTERVAL = 1.0


class AgentRunTrigger(BaseTrigger):
    """
    Fires one event when a run reaches an awaited status, ends, or cannot be waited for.

    The event is ``{"run_id", "status"}``, or ``{"run_id", "error", "message"}`` with the name of a class of
    :mod:`airflow_provider_agentruns.exceptions`. If the service is down or over its limit, the trigger keeps trying,
    with longer pauses, until ``end_time``. All triggers of a connection in one triggerer share one poller, which reads
    pages of the listing instead of single runs.

    :param run_id: The run's ID.
    :param agentruns_conn_id: The Airflow connection.
    :param wait_for: The statuses to wait for. The end of the run always ends the wait.
    :param poll_interval: The longest time that a change goes unnoticed if the connection's rate limit allows it, in
        seconds; at least 0.1.
    :param end_time: When to give up: seconds since 1970 or a ``datetime``; None for never.
    :param watch: ``poll``, or ``stream`` to follow the run's events as well, for a short latency.
    :param missing_until: Until when a new run that the service does not know yet may appear, in seconds since 1970.
    :param seen: The status that the task has logged. The trigger logs each change that does not end the wait.
    :raises AgentRunsValueError: If ``watch`` is neither ``poll`` nor ``stream``.
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
        seen: str | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        log_unknown(unknown)
        self.run_id = run_id
        self.agentruns_conn_id = agentruns_conn_id
        self.wait_for = [str(status) for status in wait_for]
        self.poll_interval = max(SHORTEST_POLL_INTERVAL, poll_interval)
        self.end_time = end_time.timestamp() if isinstance(end_time, datetime) else end_time
        self.missing_until = missing_until
        self.watch = check_watch(watch)
        self.seen = seen

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, as JSON values, from which another process creates this trigger."""
        arguments = {
            "run_id": self.run_id,
            "agentruns_conn_id": self.agentruns_conn_id,
            "wait_for": self.wait_for,
            "poll_interval": self.poll_interval,
            "end_time": self.end_time,
            "missing_until": self.missing_until,
            "watch": self.watch,
            "seen": self.seen,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the run, then fire the event."""
        # Imported here because DAG processors and API servers import this module but never run a trigger.
        from airflow_provider_agentruns.polling.registry import wait_for_run

        result = await wait_for_run(
            self.run_id,
            self.agentruns_conn_id,
            self.wait_for,
            interval=self.poll_interval,
            end=self.end_time,
            missing_until=self.missing_until,
            stream=self.watch == "stream",
            seen=self.seen,
        )
        yield TriggerEvent({"run_id": self.run_id, **result})  # type: ignore[no-untyped-call]


class AgentRunEventTrigger(BaseEventTrigger):
    """
    Creates an asset event for each run that newly reaches one of some statuses. For an ``AssetWatcher``.

    The payload is ``{"run_id", "status", "agent"}``. A run that is interrupted again, with other questions, is reported
    again. An old unfinished run may be read less often than ``poll_interval``.

    The first start of a watcher takes the statuses that runs have by then as reported. Airflow's asset state store
    (Airflow 3.3 and newer) keeps what was reported, so a later start reports what happened in the meantime. Each run is
    reported at least once; twice only if the triggerer is killed. On Airflow 3.1 and 3.2, each start is a first one. A
    service that is down, a wrong token, or a wrong connection delays events and loses none.

    :param agentruns_conn_id: The Airflow connection ID.
    :param statuses: The statuses to report: some of ``completed``, ``interrupted``, and ``error``.
    :param agent: Report only runs of this agent type.
    :param poll_interval: The number of seconds between two polls; at least 1.
    :raises AgentRunsValueError: If an argument is invalid.
    """

    def __init__(
        self,
        agentruns_conn_id: str = "agentruns_default",
        statuses: Collection[str] = ("completed", "interrupted", "error"),
        agent: str | None = None,
        poll_interval: float = 30.0,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        log_unknown(unknown)
        check_agent(agent)
        checked = check_wait_for(statuses)
        self.agentruns_conn_id = agentruns_conn_id
        # In a fixed order: Airflow identifies a trigger by its arguments.
        self.statuses = tuple(status for status in AWAITABLE if status in checked)
        self.agent = agent
        self.poll_interval = max(SHORTEST_EVENT_INTERVAL, float(poll_interval))
        self._changes: AsyncGenerator[list[RunSnapshot], None] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, as JSON values."""
        arguments = {name: getattr(self, name) for name in ("agentruns_conn_id", "agent", "poll_interval")}
        return f"{type(self).__module__}.{type(self).__qualname__}", {**arguments, "statuses": list(self.statuses)}

    def shared_stream_key(self) -> Hashable | None:
        """Return a key that no other trigger has, because Airflow acknowledges shared streams only."""
        return repr(self.serialize()) if getattr(self, "asset_state_store", None) is not None else None

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Return the producer that polls for this trigger. Airflow acknowledges its events when they are stored."""
        from airflow_provider_agentruns.events.stored_event_stream import StoredEventProducer

        return StoredEventProducer(cls(**kwargs)._watch)

    async def filter_shared_stream(self, stream: AsyncIterator[Batch]) -> AsyncIterator[TriggerEvent]:
        """Yield the events of each batch of the stream."""
        async for batch in stream:
            batch.store = self._cursor_store()
            for run in batch.runs:
                yield _event(run)
            batch.reported = True

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll and yield events where Airflow acknowledges none: on Airflow 3.1 and 3.2."""
        self._changes = self._watch(self._cursor_store())
        try:
            async for runs in self._changes:
                for run in runs:
                    yield _event(run)
        finally:
            await self.cleanup()

    async def cleanup(self) -> None:
        """Close the connections, wherever the trigger was cancelled."""
        if self._changes is not None:
            await self._changes.aclose()

    def _watch(self, store: CursorStore) -> AsyncGenerator[list[RunSnapshot], None]:
        # Imported here, because Airflow imports this module when it parses a DAG file with a watcher.
        from airflow_provider_agentruns.events.run_event_poller import changed_runs

        return changed_runs(self.agentruns_conn_id, self.poll_interval, store, self._is_reported)

    def _is_reported(self, run: RunSnapshot) -> bool:
        return run.status in self.statuses and self.agent in (None, run.agent)

    def _cursor_store(self) -> CursorStore:
        from airflow_provider_agentruns.events.cursor_store import CursorStore

        stores = asset_state_stores(getattr(self, "asset_state_store", None))
        return CursorStore(stores, self.agentruns_conn_id, self.statuses, self.agent)


def _event(run: RunSnapshot) -> TriggerEvent:
    payload = {"run_id": run.run_id, "status": run.status, "agent": run.agent}
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]
