# SPDX-License-Identifier: Apache-2.0
"""The triggers. They import what they run with later, because DAG processors and API servers import this module."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Hashable, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_provider_agentruns.airflow_adapter.asset_state import asset_state_stores
from airflow_provider_agentruns.airflow_adapter.required_action import read_form
from airflow_provider_agentruns.arguments import AWAITABLE, check_agent, check_wait_for, check_watch, log_unknown

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import SharedStreamProducer

    from airflow_provider_agentruns.events.cursor_store import CursorStore
    from airflow_provider_agentruns.events.run_tracker import RunSnapshot
    from airflow_provider_agentruns.events.stored_event_stream import Batch

#: The shortest time between two reads of a run, and between two polls for events, in seconds.
SHORTEST_POLL_INTERVAL, SHORTEST_EVENT_INTERVAL = 0.1, 1.0

_FORM_PAUSE = 5.0


class _Trigger(BaseTrigger):
    """A trigger whose parameters are its attributes. It accepts unknown ones, which another version has stored."""

    def __init__(self, **unknown: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        log_unknown(unknown)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", {name: getattr(self, name) for name in _parameters(kind)}


class AgentRunTrigger(_Trigger):
    """
    Fires one event when a run reaches an awaited status or ends, or the wait fails.

    The event is ``{"run_id", "status"}``, or ``{"run_id", "error", "message"}`` with the name of a class of
    :mod:`airflow_provider_agentruns.exceptions`. If the service is down or over its limit, the trigger keeps trying,
    with longer pauses, until ``end_time``. All triggers of a connection in one triggerer share one poller.

    :param wait_for: The statuses to wait for. The end of the run always ends the wait.
    :param poll_interval: Seconds until a change is noticed, if the rate limit allows it; at least 0.1.
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
        super().__init__(**unknown)
        self.run_id = run_id
        self.agentruns_conn_id = agentruns_conn_id
        self.wait_for = [str(status) for status in wait_for]
        self.poll_interval = max(SHORTEST_POLL_INTERVAL, poll_interval)
        self.end_time = end_time.timestamp() if isinstance(end_time, datetime) else end_time
        self.missing_until = missing_until
        self.watch = check_watch(watch)
        self.seen = seen

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from airflow_provider_agentruns.polling.poller import wait_for_run

        result = await wait_for_run(**self.serialize()[1])
        yield TriggerEvent({"run_id": self.run_id, **result})  # type: ignore[no-untyped-call]


class FormAnswerTrigger(_Trigger):
    """Reads a task instance's form. The event is Airflow's own for an answer, or ``{"form": <whether one exists>}``."""

    def __init__(self, ti_id: str, **unknown: Any) -> None:
        super().__init__(**unknown)
        self.ti_id = ti_id

    async def run(self) -> AsyncIterator[TriggerEvent]:
        # Airflow fails a task that resumes before the scheduler has processed the end of the worker that deferred it.
        await asyncio.sleep(_FORM_PAUSE)
        form = await read_form(UUID(self.ti_id))
        event: dict[str, Any] = {"form": form is not None}
        if form is not None and form.response_received and form.chosen_options:
            answer = {"chosen_options", "params_input", "responded_at", "responded_by_user"}
            event = {**form.model_dump(include=answer), "timedout": form.responded_by_user is None}
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]


class AgentRunEventTrigger(_Trigger, BaseEventTrigger):
    """
    Creates an asset event for each run that newly reaches one of some statuses. For an ``AssetWatcher``.

    The payload is ``{"run_id", "status", "agent"}``. A run that is interrupted again, with other questions, is reported
    again. After its first start, a watcher reports only later changes of status. On Airflow 3.3 and newer, it reports
    each run at least once, even if it changes during a restart. On Airflow 3.1 and 3.2, each start counts as the first.
    An old unfinished run may be read less often than ``poll_interval``.

    :param statuses: The statuses to report: some of ``completed``, ``interrupted``, and ``error``.
    :param agent: Report only runs of this agent type.
    :param poll_interval: Seconds between two polls; at least 1.
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
        super().__init__(**unknown)
        check_agent(agent)
        checked = check_wait_for(statuses)
        self.agentruns_conn_id = agentruns_conn_id
        self.statuses = [status for status in AWAITABLE if status in checked]
        self.agent = agent
        self.poll_interval = max(SHORTEST_EVENT_INTERVAL, float(poll_interval))
        self._changes: AsyncGenerator[list[RunSnapshot], None] | None = None

    def shared_stream_key(self) -> Hashable | None:
        # No other trigger has this key. Airflow acknowledges the events of shared streams only.
        return repr(self.serialize()) if getattr(self, "asset_state_store", None) is not None else None

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        from airflow_provider_agentruns.events.stored_event_stream import StoredEventProducer

        return StoredEventProducer(cls(**kwargs)._watch)

    async def filter_shared_stream(self, stream: AsyncIterator[Batch]) -> AsyncIterator[TriggerEvent]:
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
        if self._changes is not None:
            await self._changes.aclose()

    def _watch(self, store: CursorStore) -> AsyncGenerator[list[RunSnapshot], None]:
        from airflow_provider_agentruns.events.run_event_poller import changed_runs

        return changed_runs(self.agentruns_conn_id, self.poll_interval, store, self.statuses, self.agent)

    def _cursor_store(self) -> CursorStore:
        from airflow_provider_agentruns.events.cursor_store import CursorStore

        stores = asset_state_stores(getattr(self, "asset_state_store", None))
        return CursorStore(stores, self.agentruns_conn_id, self.statuses, self.agent)


@cache
def _parameters(trigger: type[BaseTrigger]) -> list[str]:
    """Return the names of a trigger's parameters in a fixed order: Airflow identifies a watcher's trigger by them."""
    return [name for name in inspect.signature(trigger).parameters if name != "unknown"]


def _event(run: RunSnapshot) -> TriggerEvent:
    payload = {"run_id": run.run_id, "status": run.status, "agent": run.agent}
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]
