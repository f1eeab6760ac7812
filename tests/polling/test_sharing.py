# SPDX-License-Identifier: Apache-2.0
"""All triggers of a connection in one event loop share a watch, and none feels what becomes of another."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

import pytest

from airflow_provider_agentruns.emulator.scripts import Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.polling import registry, reloading_client
from airflow_provider_agentruns.polling.poller import RunPoller
from airflow_provider_agentruns.polling.scheduler import PollScheduler
from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.hooks.connections import connection_json, open_sockets
from tests.polling.scripted import Service, came_to, waiting
from tests.support.scripted_server import ScriptedServer
from tests.triggers.waiting import BUSINESS, ENV, event_of, until

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")

NO_RUN = "00000000-0000-4000-8000-000000000000"


def busy(case: Case) -> ScriptBody:
    """Works for a second at the speed of the fixture, and reports."""
    yield Work(20, "work", "Works")
    return [{"title": "Done", "type": "report"}]


def started(emulator: Emulator, count: int) -> list[str]:
    """Start runs, and return their ids."""
    return [emulator.service.create_run("busy", business_id=BUSINESS).id for _ in range(count)]


@pytest.mark.agent_runs(agents={"busy": busy})
@pytest.mark.parametrize("older", [0, 1000])
async def test_many_waits_are_answered_by_few_pages(agent_runs_emulator: Emulator, older: int) -> None:
    ids = started(agent_runs_emulator, 40)
    agent_runs_emulator.service.add_finished_runs(older)
    events = await asyncio.gather(*waiting(*ids, interval=0.5))
    assert events == [{"run_id": run_id, "status": "completed"} for run_id in ids]
    # At least one page for the wait of each second, and none for a single run but for stragglers.
    assert agent_runs_emulator.count("GET", "/v1/runs") >= 1
    assert agent_runs_emulator.count("GET", "/v1/runs/.+") <= 5
    assert len(agent_runs_emulator.requests) <= 20


@pytest.mark.agent_runs(agents={"busy": busy})
async def test_one_wait_that_ends_early_leaves_the_others_alone(agent_runs_emulator: Emulator) -> None:
    ids = started(agent_runs_emulator, 12)
    others = waiting(*ids[:10])
    [cancelled] = waiting(ids[10])
    [unknown] = waiting(NO_RUN)
    [timed_out] = waiting(ids[11], end_time=time.time() + 0.3)
    await until(lambda: len(agent_runs_emulator.requests) >= 1)
    cancelled.cancel()
    assert (await unknown)["error"] == "AgentRunNotFoundError"
    assert (await timed_out)["error"] == "AgentRunTimeoutError"
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert came_to(await asyncio.gather(*others)) == {"completed"}


async def test_the_last_one_out_closes_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    before = asyncio.all_tasks()
    service = Service(30)
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waiting(*service.ids)
        await until(lambda: len(server.requests) >= 2)
        service.end(*service.ids[:29])
        assert came_to(await asyncio.gather(*tasks[:29])) == {"completed"}
        assert open_sockets(server.port) > 0
        service.end()
        await tasks[29]
        assert open_sockets(server.port) == 0
    assert asyncio.all_tasks() == before
    gc.collect()


async def test_who_is_cancelled_last_leaves_nothing_behind_either(monkeypatch: pytest.MonkeyPatch) -> None:
    before = asyncio.all_tasks()
    service = Service(30)
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waiting(*service.ids)
        await until(lambda: len(server.requests) >= 2)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        assert open_sockets(server.port) == 0
    assert asyncio.all_tasks() == before
    gc.collect()


async def test_who_comes_while_a_watch_closes_is_served_by_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    closing, go_on = asyncio.Event(), asyncio.Event()
    close = reloading_client.ReloadingClient.close

    async def close_slowly(self: reloading_client.ReloadingClient) -> None:
        closing.set()
        await go_on.wait()
        await close(self)

    service = Service(2)
    service.end()
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        monkeypatch.setattr(reloading_client.ReloadingClient, "close", close_slowly)
        [first] = waiting("r-0")
        await closing.wait()
        monkeypatch.setattr(reloading_client.ReloadingClient, "close", close)
        [second] = waiting("r-1")
        assert came_to([await second]) == {"completed"}
        assert not first.done()
        go_on.set()
        assert came_to([await first]) == {"completed"}
        assert open_sockets(server.port) == 0


async def test_who_comes_while_a_watch_fails_is_served_by_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(2)
    service.end()
    late: list[asyncio.Task[dict[str, str]]] = []

    def break_down(scheduler: PollScheduler, now: float) -> float:
        monkeypatch.setattr(PollScheduler, "next", decide)
        # Its first step comes after the watch has failed, and before those who wait have left.
        asyncio.get_running_loop().call_soon(lambda: late.extend(waiting("r-1", within=2.0)))
        raise ZeroDivisionError

    decide = PollScheduler.next
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        monkeypatch.setattr(PollScheduler, "next", break_down)
        assert came_to(await asyncio.gather(*waiting("r-0"))) == {"ZeroDivisionError"}
        assert came_to(await asyncio.gather(*late)) == {"completed"}


def watches() -> list[RunPoller]:
    """Return the watches of all event loops."""
    return [watch for of_loop in list(registry._pollers.values()) for watch in of_loop.values()]


async def test_two_event_loops_never_share_a_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(10)
    events: list[dict[str, str]] = []

    async def wait_for_all() -> None:
        events.extend(await asyncio.gather(*waiting(*service.ids)))

    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        threads = [threading.Thread(target=asyncio.run, args=[wait_for_all()]) for _ in range(2)]
        for thread in threads:
            thread.start()
        mine = waiting(*service.ids)
        await until(lambda: len(watches()) == 3 and len(server.requests) > 3)
        used = {id(watch) for watch in watches()}
        service.end()
        assert came_to(await asyncio.gather(*mine)) == {"completed"}
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert open_sockets(server.port) == 0
    assert len(used) == 3
    assert (len(events), came_to(events)) == (20, {"completed"})


async def test_two_connections_never_share_a_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = Service(10), Service(10)
    with ScriptedServer(here) as one, ScriptedServer(there) as two:
        monkeypatch.setenv(ENV, connection_json(one.url, token="mk_test_one"))
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", connection_json(two.url, token="mk_test_two"))
        tasks = waiting(*here.ids)
        others = waiting(*there.ids, agentruns_conn_id="other")
        await until(lambda: bool(one.requests and two.requests))
        here.end()
        assert came_to(await asyncio.gather(*tasks)) == {"completed"}
        assert (open_sockets(one.port), any(task.done() for task in others)) == (0, False)
        there.end(status="error")
        assert came_to(await asyncio.gather(*others)) == {"error"}
        tokens = [{request.headers["authorization"] for request in server.requests} for server in (one, two)]
    assert tokens == [{"Bearer mk_test_one"}, {"Bearer mk_test_two"}]


async def test_one_run_that_many_wait_for_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(1)
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waiting(*["r-0"] * 30, interval=0.3)
        await until(lambda: len(server.requests) >= 3)
        moments = [request.at for request in server.requests]
        service.end()
        assert came_to(await asyncio.gather(*tasks)) == {"completed"}
    assert moments[2] - moments[0] > 0.5


async def test_a_trigger_that_is_made_again_goes_on_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(10)
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        tasks = waiting(*service.ids)
        await until(lambda: len(server.requests) >= 2)
        for task in tasks:
            task.cancel()
        # As a triggerer does that is handed the triggers of another one.
        again = [asyncio.create_task(event_of(AgentRunTrigger(run_id, poll_interval=0.2))) for run_id in service.ids]
        service.end()
        assert came_to(await asyncio.gather(*again)) == {"completed"}
        assert open_sockets(server.port) == 0
