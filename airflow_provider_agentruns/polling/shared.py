# SPDX-License-Identifier: Apache-2.0
"""Who waits for a run joins the one watch of its connection and event loop; the first opens it, the last closes it."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Iterable
from functools import lru_cache, partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import structlog

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.polling.followed import Tell, Verdict, Waiter
from airflow_provider_agentruns.polling.watch import Watch, timed_out

if TYPE_CHECKING:
    pass


log = structlog.get_logger(__name__)

#: How long the last look may take, in seconds: a service that hangs must not hold up the end of the wait, after
#: which the scheduler would fail the task.
_LAST_LOOK = 10.0

_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Watch]] = WeakKeyDictionary()


async def wait_for_run(
    run_id: str,
    agentruns_conn_id: str,
    wait_for: Iterable[str],
    *,
    interval: float,
    end: float | None = None,
    missing_until: float | None = None,
    stream: bool = False,
    seen: str | None = None,
    tell: Tell = log.log,
) -> Verdict:
    """
    Wait until a run has reached an awaited status, or has ended, or cannot be waited for.

    :param run_id: The run's id.
    :param agentruns_conn_id: The Airflow connection.
    :param wait_for: The statuses to wait for. The end of the run always ends the wait.
    :param interval: The longest time that a change goes unnoticed where the rate limit allows it, in seconds.
    :param end: When to give up, in seconds since 1970; None for never.
    :param missing_until: Until when a run that the service does not know counts as not there yet, likewise.
    :param stream: Whether to follow the run's events, too, since latency counts.
    :param seen: The status that who waits has seen, and logged.
    :param tell: Logs what is to be said of this wait, with the context variables of who waits.
    :return: ``{"status"}``, or ``{"error", "message"}`` with the name of a class of
        :mod:`airflow_provider_agentruns.exceptions`.
    """
    now = time.monotonic()
    to_monotonic = now - time.time()
    found: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
    waiter = Waiter(
        _shared_set(tuple(wait_for)),
        interval,
        partial(_set, found),
        joined=now,
        end=None if end is None else end + to_monotonic,
        missing_until=None if missing_until is None else missing_until + to_monotonic,
        # Messages about this run belong to the log of the task that waits for it.
        stream=stream,
        seen=seen,
        tell=partial(contextvars.copy_context().run, tell),
    )
    # There may be thousands of these: no frame or object is held here that could be done without.
    watch = _lend(agentruns_conn_id)
    run = watch.join(run_id, waiter)
    _count(watch, 1)
    verdict: Verdict | None = None
    try:
        if waiter.end is None:
            verdict = await found
        else:
            async with asyncio.timeout_at(max(now, waiter.end) + _LAST_LOOK):
                verdict = await found
    except TimeoutError:
        verdict = timed_out(run)
    finally:
        watch.leave(run, waiter)
        _count(watch, -1)
        if verdict:
            metrics.wait_ended(agentruns_conn_id, verdict, time.monotonic() - now)
        await _give_back(watch)
    return verdict


def _lend(agentruns_conn_id: str) -> Watch:
    """Lend the watch of a connection in this event loop."""
    watches = _watches.setdefault(asyncio.get_running_loop(), {})
    watch = watches.get(agentruns_conn_id)
    if watch is None or watch.failed:
        watch = watches[agentruns_conn_id] = Watch(agentruns_conn_id)
    return watch


async def _give_back(watch: Watch) -> None:
    """Close a watch by which nobody waits any more."""
    if watch.idle:
        # At once, so that who comes while it closes opens another one.
        watches = _watches[asyncio.get_running_loop()]
        if watches.get(watch.conn_id) is watch:
            del watches[watch.conn_id]
        await watch.close()


def _count(watch: Watch, more: int) -> None:
    watch.waits += more
    metrics.waiting(watch.conn_id, watch.waits)


def _set(found: asyncio.Future[Verdict], verdict: Verdict) -> None:
    if not found.done():
        found.set_result(verdict)


@lru_cache(maxsize=64)
def _shared_set(statuses: tuple[str, ...]) -> frozenset[str]:
    """Return one and the same set for all who wait for the same."""
    return frozenset(statuses)
