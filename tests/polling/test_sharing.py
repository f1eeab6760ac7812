# SPDX-License-Identifier: Apache-2.0
"""All triggers of a connection in one event loop share a poller, and none is affected by the end of another."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

import pytest

from airflow_provider_agentruns.polling import poller, reloading_client
from airflow_provider_agentruns.polling.scheduler import PollScheduler, Step
from tests.hooks.connections import open_sockets
from tests.polling.scripted import Service, outcomes, waiting
from tests.support.scripted_server import Serve
from tests.triggers.waiting import until

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")


async def test_a_wait_that_ends_early_leaves_the_others_alone(serve: Serve) -> None:
    service = Service(12)
    server = serve(service)
    others = waiting(*service.ids[:10])
    [cancelled] = waiting("r-10")
    [unknown] = waiting("no-such-run")
    [timed_out] = waiting("r-11", end_time=time.time() + 0.3)
    await until(lambda: len(server.requests) >= 1)
    cancelled.cancel()
    assert outcomes([await unknown]) == {"AgentRunNotFoundError"}
    assert outcomes([await timed_out]) == {"AgentRunTimeoutError"}
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    service.end()
    assert outcomes(await asyncio.gather(*others)) == {"completed"}


@pytest.mark.parametrize("cancel", [True, False], ids=["cancelled", "completed"])
async def test_the_last_wait_closes_everything(serve: Serve, cancel: bool) -> None:
    before = asyncio.all_tasks()
    service = Service(30)
    server = serve(service)
    tasks = waiting(*service.ids)
    await until(lambda: len(server.requests) >= 2)
    service.end(*service.ids[:29])
    assert outcomes(await asyncio.gather(*tasks[:29])) == {"completed"}
    assert open_sockets(server.port) > 0
    if cancel:
        tasks[29].cancel()
    service.end()
    await asyncio.wait(tasks[29:])
    assert tasks[29].cancelled() == cancel
    assert open_sockets(server.port) == 0
    assert asyncio.all_tasks() == before
    gc.collect()


async def test_a_wait_that_begins_while_a_poller_closes_gets_another_one(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing, proceed = asyncio.Event(), asyncio.Event()
    close = reloading_client.ReloadingClient.close

    async def close_slowly(self: reloading_client.ReloadingClient) -> None:
        closing.set()
        await proceed.wait()
        await close(self)

    service = Service(2)
    service.end()
    server = serve(service)
    monkeypatch.setattr(reloading_client.ReloadingClient, "close", close_slowly)
    [first] = waiting("r-0")
    await closing.wait()
    monkeypatch.setattr(reloading_client.ReloadingClient, "close", close)
    [second] = waiting("r-1")
    assert outcomes([await second]) == {"completed"}
    assert not first.done()
    proceed.set()
    assert outcomes([await first]) == {"completed"}
    assert open_sockets(server.port) == 0


async def test_a_bug_in_the_poller_ends_its_waits_but_none_that_begins_afterwards(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(2)
    service.end()
    late: list[asyncio.Task[dict[str, str]]] = []
    decide = PollScheduler.next

    def fail(scheduler: PollScheduler, now: float) -> Step | float:
        monkeypatch.setattr(PollScheduler, "next", decide)
        # The wait begins after the poller has failed, and before the others have left it.
        asyncio.get_running_loop().call_soon(lambda: late.extend(waiting("r-1", within=2.0)))
        raise ZeroDivisionError

    serve(service)
    monkeypatch.setattr(PollScheduler, "next", fail)
    assert outcomes(await asyncio.gather(*waiting("r-0"))) == {"ZeroDivisionError"}
    assert outcomes(await asyncio.gather(*late)) == {"completed"}
    assert "The poller for agent runs of connection 'agentruns_default' failed" in caplog.text


async def test_event_loops_never_share_a_poller(serve: Serve) -> None:
    service = Service(10)
    events: list[dict[str, str]] = []

    async def wait_for_all() -> None:
        events.extend(await asyncio.gather(*waiting(*service.ids)))

    def pollers() -> set[int]:
        return {id(poller) for of_loop in list(poller._pollers.values()) for poller in of_loop.values()}

    server = serve(service)
    threads = [threading.Thread(target=asyncio.run, args=[wait_for_all()]) for _ in range(2)]
    for thread in threads:
        thread.start()
    tasks = waiting(*service.ids)
    await until(lambda: len(pollers()) == 3 and len(server.requests) > 3)
    service.end()
    assert outcomes(await asyncio.gather(*tasks)) == {"completed"}
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert open_sockets(server.port) == 0
    assert (len(events), outcomes(events)) == (20, {"completed"})
