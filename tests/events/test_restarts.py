# SPDX-License-Identifier: Apache-2.0
"""What a watcher has told of outlives it: after a restart no run is missed, and none is told of again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from airflow_provider_agentruns.emulator.scripts import Ask, Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.events import run_events as news
from tests.events.watchers import BUSINESS, FakeStore, Watcher, kept, running, settled
from tests.triggers.waiting import until


def short(case: Case) -> ScriptBody:
    """Works for 0.2 s at the speed of the fixture."""
    yield Work(4, "work", "Works")
    return [{"title": "Done", "type": "report"}]


def asks_again(case: Case) -> ScriptBody:
    """Asks a second time at once."""
    yield Ask([{"agent": "asks_again", "label": "First?"}])
    yield Ask([{"agent": "asks_again", "label": "Second?"}])
    return []


pytestmark = pytest.mark.agent_runs(agents={"short": short, "asks_again": asks_again})


async def test_what_happens_while_nobody_watches_is_told_later_and_nothing_twice(agent_runs_emulator: Emulator) -> None:
    service, store = agent_runs_emulator.service, FakeStore()
    first = Watcher(store)
    async with running(first):
        await settled(first, store)
        told = service.create_run("instant", business_id=BUSINESS).id
        answered = service.create_run("needs_approval", business_id=BUSINESS).id
        open_still = service.create_run("needs_approval", business_id=BUSINESS).id
        await first.came(3)
        await kept(store)
    service.answer(answered, service.get_run(answered).interrupts[0]["id"], "approve")
    new = {service.create_run("short", business_id=BUSINESS).id for _ in range(150)}
    await until(lambda: all(service.get_run(run_id).finished for run_id in (answered, *new)))
    # So many that the open ones are on another page.
    for _ in range(600):
        service.create_run("fails", business_id=BUSINESS)
    second = Watcher(store, poll_interval=0.1)
    async with running(second):
        await second.came(751)
        await asyncio.sleep(0.5)
    assert len(second.events) == 751
    completed = {run_id for run_id, status in second.seen if status == "completed"}
    assert completed == {answered, *new}
    assert not {told, open_still} & {run_id for run_id, _ in second.seen}


async def test_only_the_events_of_the_last_moments_may_come_twice(agent_runs_emulator: Emulator) -> None:
    service, store = agent_runs_emulator.service, FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        early = service.create_run("instant", business_id=BUSINESS).id
        await watcher.came(1)
        await kept(store)
        late = service.create_run("instant", business_id=BUSINESS).id
        await watcher.came(2)
        before = store.writes
        # It is killed while nobody knows whether that event has reached Airflow's database.
    assert store.writes == before
    again = Watcher(store)
    async with running(again):
        await again.came(1)
        await asyncio.sleep(0.3)
    assert watcher.seen == [(early, "completed"), (late, "completed")]
    assert again.seen == [(late, "completed")]


async def test_nothing_is_missed_however_often_it_is_killed(agent_runs_emulator: Emulator) -> None:
    service, store, seen, started = agent_runs_emulator.service, FakeStore(), set(), set()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
    for number in range(12):
        started |= {service.create_run("short", business_id=BUSINESS).id for _ in range(8)}
        watcher = Watcher(store)
        async with running(watcher):
            await asyncio.sleep(0.07 * number)
        seen |= set(watcher.seen)
    last = Watcher(store)
    async with running(last):
        await until(lambda: {run_id for run_id, _ in seen | set(last.seen)} == started)
    assert {status for _, status in seen | set(last.seen)} == {"completed"}


async def test_a_question_that_follows_another_while_nobody_watches_is_news(agent_runs_emulator: Emulator) -> None:
    service, store = agent_runs_emulator.service, FakeStore()
    first = Watcher(store, statuses=["interrupted"])
    async with running(first):
        await settled(first, store)
        run = service.create_run("asks_again", business_id=BUSINESS)
        await first.came(1)
        await kept(store)
    service.answer(run.id, service.get_run(run.id).interrupts[0]["id"], "yes")
    second = Watcher(store, statuses=["interrupted"])
    async with running(second):
        await second.came(1)
        await kept(store)
    assert first.seen == second.seen == [(run.id, "interrupted")]
    third = Watcher(store, statuses=["interrupted"])
    async with running(third):
        await asyncio.sleep(0.5)
    assert third.seen == []


async def test_the_cursor_is_small_and_says_nothing_personal(agent_runs_emulator: Emulator) -> None:
    service, store = agent_runs_emulator.service, FakeStore()
    service.add_finished_runs(2000)
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        for _ in range(200):
            service.create_run("instant", business_id=BUSINESS)
        asked = service.create_run("needs_approval", business_id=BUSINESS)
        await watcher.came(201)
        await kept(store)
    [text] = store.values.values()
    # The emulator's finished runs are a second apart: those of the last ten minutes are in it, too.
    assert len(store.cursor["ended"]) == pytest.approx(800, abs=15)
    assert len(text) < 800 * 30
    assert store.cursor["open"].keys() == {asked.id}
    assert "address" not in text


async def test_nothing_is_kept_where_nothing_has_changed(agent_runs_emulator: Emulator) -> None:
    agent_runs_emulator.service.create_run("needs_approval", business_id=BUSINESS)
    store = FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        await kept(store)
        writes, looks = store.writes, len(agent_runs_emulator.requests)
        await asyncio.sleep(1)
    assert store.writes == writes <= 2
    assert len(agent_runs_emulator.requests) > looks + 5


@pytest.mark.parametrize("garbage", ["text", 5, [], {}, {"version": 99, "horizon": 1}])
async def test_garbage_in_the_store_is_told_of_and_leads_to_a_fresh_start(
    agent_runs_emulator: Emulator, garbage: object, capfd: pytest.CaptureFixture[str]
) -> None:
    service, store = agent_runs_emulator.service, FakeStore()
    watcher = Watcher(store)
    await store.aset(watcher.trigger._key, garbage)
    old = service.create_run("instant", business_id=BUSINESS).id
    async with running(watcher):
        await until(lambda: "is of no use: it is not of this version" in capfd.readouterr().out)
        await until(lambda: isinstance(store.cursor, dict) and "open" in store.cursor)
        new = service.create_run("instant", business_id=BUSINESS).id
        await watcher.came(1)
        await asyncio.sleep(0.2)
    assert old != new
    assert watcher.seen == [(new, "completed")]


async def test_a_store_that_fails_for_a_moment_is_outlasted(
    agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "_LONGEST_PAUSE", 0.05)
    service, store = agent_runs_emulator.service, FakeStore()
    first = Watcher(store)
    async with running(first):
        await settled(first, store)
        open_run = service.create_run("needs_approval", business_id=BUSINESS)
        await first.came(1)
        store.write_errors = [OSError("no database")] * 3
        await kept(store)
        assert store.cursor["open"].keys() == {open_run.id}
    # To begin anew instead would be to miss what happens next.
    store.read_errors = [OSError("no database")] * 3
    service.answer(open_run.id, open_run.interrupts[0]["id"], "approve")
    second = Watcher(store)
    async with running(second):
        await second.came(1)
    assert second.seen == [(open_run.id, "completed")]


async def test_one_watcher_of_several_assets_keeps_its_cursor_with_each(agent_runs_emulator: Emulator) -> None:
    service = agent_runs_emulator.service
    stores = {name: FakeStore() for name in ("b", "a")}
    first = Watcher(SimpleNamespace(_by_name=stores, _by_uri={}))
    async with running(first):
        await settled(first, stores["b"])
        told = service.create_run("instant", business_id=BUSINESS).id
        await first.came(1)
        await kept(stores["a"])
    assert stores["a"].cursor == stores["b"].cursor
    missed = service.create_run("instant", business_id=BUSINESS).id
    # One is no longer watched, and a new one is, which knows nothing yet.
    second = Watcher(SimpleNamespace(_by_name={"0": FakeStore(), "b": stores["b"]}, _by_uri={}))
    async with running(second):
        await second.came(1)
        await asyncio.sleep(0.2)
    assert (first.seen, second.seen) == ([(told, "completed")], [(missed, "completed")])


async def test_without_a_store_each_start_is_a_first_one(agent_runs_emulator: Emulator) -> None:
    service = agent_runs_emulator.service
    for _ in range(2):
        watcher = Watcher()
        async with running(watcher):
            await asyncio.sleep(0.5)
            run = service.create_run("instant", business_id=BUSINESS)
            await watcher.came(1)
        assert watcher.seen == [(run.id, "completed")]
        service.create_run("instant", business_id=BUSINESS)
