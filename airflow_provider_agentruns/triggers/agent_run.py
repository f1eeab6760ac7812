# SPDX-License-Identifier: Apache-2.0
"""The triggers that look at agent runs in the triggerer's event loop, so that no worker has to."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_provider_agentruns.arguments import AWAITABLE, check_agent, check_wait_for, check_watch

if TYPE_CHECKING:
    from airflow_provider_agentruns.events.cursor import Seen

#: The shortest time between two looks at a run, in seconds.
SHORTEST_POLL_INTERVAL = 0.1

#: The shortest time between two looks at the listing, in seconds.
SHORTEST_EVENT_INTERVAL = 1.0

#: Airflow starts a watcher that has failed anew within a second or two, for ever.
_BEFORE_FAILING = 60.0


class AgentRunTrigger(BaseTrigger):
    """
    Fires one event when a run has reached an awaited status, or has ended, or cannot be waited for.

    The event is ``{"run_id", "status"}``, or ``{"run_id", "error", "message"}`` with the name of a class of
    :mod:`airflow_provider_agentruns.exceptions`. It says that it is time to look, and who is woken by it
    reads the run itself. A service that is down or over its limit does not end the wait: the trigger goes on
    with longer pauses until ``end_time``. A token that was changed in the connection is picked up.

    All triggers of a connection in one triggerer share one watch, whose cost grows with pages of the listing of
    runs and not with runs; see :mod:`airflow_provider_agentruns.polling`.

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
    :param seen: The status that the task has seen and logged; each other one is logged, once.
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
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.run_id = run_id
        self.agentruns_conn_id = agentruns_conn_id
        self.wait_for = tuple(wait_for)
        self.poll_interval = max(SHORTEST_POLL_INTERVAL, poll_interval)
        self.end_time = end_time.timestamp() if isinstance(end_time, datetime) else end_time
        self.missing_until = missing_until
        self.watch = check_watch(watch)
        self.seen = seen

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
                "seen": self.seen,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire the one event."""
        # Not with the module: the triggerer and the DAG processor import triggers that they never run.
        from airflow_provider_agentruns.polling.shared import wait_for_run

        verdict = await wait_for_run(
            self.run_id,
            self.agentruns_conn_id,
            self.wait_for,
            interval=self.poll_interval,
            end=self.end_time,
            missing_until=self.missing_until,
            stream=self.watch == "stream",
            seen=self.seen,
            tell=self._tell,
        )
        yield TriggerEvent({"run_id": self.run_id, **verdict})  # type: ignore[no-untyped-call]

    def _tell(self, level: int, message: str, *args: Any, **fields: Any) -> None:
        self.log.log(level, message, *args, **fields)


class AgentRunEventTrigger(BaseEventTrigger):
    """
    For an ``AssetWatcher``: an asset event for each run that newly reaches one of some statuses, whoever started it.

    The payload is ``{"run_id", "status", "agent"}``. A run that asks something is told of again whenever it asks
    something else.

    All watchers of a connection in one triggerer share one look at the listing every ``poll_interval`` seconds, and
    share the looks at open runs with all tasks that wait; see :mod:`airflow_provider_agentruns.watching`. A run that
    has long been as it is may be looked at less often: after 1 % of that time, and after ten minutes at the latest.

    When a watcher starts for the first time, what runs have come to before is no news. What it has told of is kept
    in Airflow's asset state store, so that one which starts anew tells of what has happened meanwhile, also after
    its DAG was paused. No run is missed, whenever the triggerer is killed; what was told of in the last
    seconds before may be told of twice. On Airflow 3.1 and 3.2, which have no such store, each start is a first one.

    A service that is down or over its limit is waited for. A connection that cannot work fails the trigger, which
    Airflow then starts anew.

    :param agentruns_conn_id: The Airflow connection.
    :param statuses: Of ``completed``, ``interrupted`` and ``error``, those that make an event.
    :param agent: Only runs of this agent type.
    :param poll_interval: How often to look for new runs, in seconds; at least 1.
    :raises AgentRunsValueError: If an argument makes no sense.
    """

    def __init__(
        self,
        agentruns_conn_id: str = "agentruns_default",
        statuses: Collection[str] = ("completed", "interrupted", "error"),
        agent: str | None = None,
        poll_interval: float = 30.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        check_agent(agent)
        checked = check_wait_for(statuses)
        self.agentruns_conn_id = agentruns_conn_id
        # In one order: Airflow tells triggers apart by their arguments.
        self.statuses = tuple(status for status in AWAITABLE if status in checked)
        self.agent = agent
        self.poll_interval = max(SHORTEST_EVENT_INTERVAL, float(poll_interval))
        self._news: AsyncGenerator[Seen, None] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again in another process; JSON values only."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "agentruns_conn_id": self.agentruns_conn_id,
                "statuses": list(self.statuses),
                "agent": self.agent,
                "poll_interval": self.poll_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire an event for each run that newly reaches one of the statuses."""
        # Not with the module: Airflow imports it when it parses a DAG file with a watcher.
        from airflow_provider_agentruns.events.run_events import Keeper, news

        keeper = Keeper(_accessors(getattr(self, "asset_state_store", None)), self._key, self.log.log)
        self._news = news(self.agentruns_conn_id, self.statuses, self.agent, interval=self.poll_interval, keeper=keeper)
        try:
            async for seen in self._news:
                payload = {"run_id": seen.run_id, "status": seen.status, "agent": seen.agent}
                yield TriggerEvent(payload)  # type: ignore[no-untyped-call]
        except Exception as e:
            self.log.error("Cannot watch agent runs over connection %r: %s", self.agentruns_conn_id, e)
            await asyncio.sleep(_BEFORE_FAILING)
            raise
        finally:
            await self.cleanup()

    async def cleanup(self) -> None:
        """Leave the shared watch, wherever the trigger was cancelled."""
        if self._news is not None:
            await self._news.aclose()

    @property
    def _key(self) -> str:
        what = json.dumps([self.agentruns_conn_id, self.statuses, self.agent])
        return f"agent_runs:{hashlib.sha256(what.encode()).hexdigest()[:16]}"


def _accessors(store: Any) -> list[Any]:
    """
    Return the stores of all assets that are watched by one and the same trigger, as Airflow has it.

    It gives them out by asset and does not say by which; with just one, it is one itself.
    """
    if store is None:
        return []
    several = [*getattr(store, "_by_name", {}).items(), *getattr(store, "_by_uri", {}).items()]
    return [accessor for _, accessor in sorted(several, key=lambda item: item[0])] or [store]
