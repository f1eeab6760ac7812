# SPDX-License-Identifier: Apache-2.0
"""One poller per connection and event loop: the first wait starts it, the last one closes it."""

from __future__ import annotations

import asyncio
import contextvars
import math
import time
from collections.abc import Collection
from functools import partial
from weakref import WeakKeyDictionary

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.models import RunStatus
from airflow_provider_agentruns.polling.poller import RunPoller, timed_out
from airflow_provider_agentruns.polling.tracked_run import Log, Waiter, WaitResult

#: Seconds that the last read of a wait may take. If the service hangs, Airflow's scheduler would fail the task later.
_LAST_READ = 10.0

_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, RunPoller]] = WeakKeyDictionary()


async def wait_for_run(
    run_id: str,
    agentruns_conn_id: str,
    wait_for: Collection[str],
    *,
    interval: float,
    end: float | None = None,
    missing_until: float | None = None,
    stream: bool = False,
    seen: str | None = None,
    log: Log | None = None,
) -> WaitResult:
    """
    Wait until a run reaches an awaited status, ends, or cannot be waited for.

    See :class:`~airflow_provider_agentruns.triggers.agent_run.AgentRunTrigger` for the parameters.

    :param log: Logs a message about this wait. Called in a copy of the caller's context, by which Airflow finds the log
        of the waiting task.
    :return: ``{"status"}``, or ``{"error", "message"}`` with the name of a class of
        :mod:`airflow_provider_agentruns.exceptions`.
    """
    now = time.monotonic()
    to_monotonic = now - time.time()
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    poller = pollers.get(agentruns_conn_id)
    if poller is None or poller.failed:
        poller = pollers[agentruns_conn_id] = RunPoller(agentruns_conn_id)
    poller.waits += 1
    waiter = Waiter(
        wait_for,
        interval,
        asyncio.get_running_loop().create_future(),
        now,
        partial(contextvars.copy_context().run, log or poller.log),
        end=math.inf if end is None else end + to_monotonic,
        missing_until=-math.inf if missing_until is None else missing_until + to_monotonic,
        stream=stream,
        seen=seen or RunStatus.RUNNING,
    )
    # There may be thousands of these coroutines, so it keeps few objects alive.
    run = poller.add(run_id, waiter)
    result: WaitResult | None = None
    try:
        if end is None:
            result = await waiter.result
        else:
            async with asyncio.timeout_at(max(now, waiter.end) + _LAST_READ):
                result = await waiter.result
    except TimeoutError:
        result = timed_out(run)
    finally:
        poller.remove(run, waiter)
        if result:
            metrics.wait_ended(agentruns_conn_id, result, time.monotonic() - now)
        poller.waits -= 1
        if poller.waits == 0:
            metrics.waiting(agentruns_conn_id, 0)
            metrics.poll_lag(agentruns_conn_id, 0.0)
            # Removed before it closes, so that a wait that begins meanwhile starts another poller.
            if pollers.get(agentruns_conn_id) is poller:
                del pollers[agentruns_conn_id]
            await poller.close()
    return result
