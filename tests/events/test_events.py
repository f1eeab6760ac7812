# SPDX-License-Identifier: Apache-2.0
"""One event for each run that newly comes to a status: over real HTTP, with the offline service."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_agentruns.emulator.scripts import Ask, Case, Fails, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from tests.events.watchers import BUSINESS, FakeStore, Watcher, running, settled
from tests.triggers.waiting import until


def short(case: Case) -> ScriptBody:
    """Works for 0.2 s at the speed of the fixture."""
    yield Work(4, "work", "Works")
    return [{"title": "Done", "type": "report"}]


def breaks(case: Case) -> ScriptBody:
    """Works for 0.2 s, and fails."""
    yield Work(4, "work", "Works")
    raise Fails("Broken", "It broke")


def asks_again(case: Case) -> ScriptBody:
    """Asks a second time at once."""
    yield Ask([{"agent": "asks_again", "label": "First?"}])
    yield Ask([{"agent": "asks_again", "label": "Second?"}])
    return []


pytestmark = pytest.mark.agent_runs(agents={"short": short, "breaks": breaks, "asks_again": asks_again})


async def test_each_run_makes_one_event_for_what_it_comes_to(agent_runs_emulator: Emulator) -> None:
    create, store = agent_runs_emulator.service.create_run, FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        ids = [create(agent, business_id=BUSINESS).id for agent in ("short", "breaks", "needs_approval", "instant")]
        await watcher.came(4)
        await asyncio.sleep(0.3)
    expected = dict(zip(ids, ("completed", "error", "interrupted", "completed"), strict=True))
    assert dict(watcher.seen) == expected
    assert len(watcher.events) == 4
    # Nothing else: no output and no questions, which may be personal data.
    assert watcher.events[0].keys() == {"run_id", "status", "agent"}
    assert {event["agent"] for event in watcher.events} == {"short", "breaks", "needs_approval", "instant"}


async def test_what_has_been_there_is_no_news_but_what_becomes_of_it_is(agent_runs_emulator: Emulator) -> None:
    service, store = agent_runs_emulator.service, FakeStore()
    for agent in ("instant", "fails", "two_questions"):
        service.create_run(agent, business_id=BUSINESS)
    asked = service.create_run("needs_approval", business_id=BUSINESS)
    working = service.create_run("slow", business_id=BUSINESS)
    await until(lambda: bool(service.get_run(asked.id).interrupts))
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        service.answer(asked.id, service.get_run(asked.id).interrupts[0]["id"], "approve")
        await watcher.came(2)
        await asyncio.sleep(0.3)
    assert sorted(watcher.seen) == sorted([(asked.id, "completed"), (working.id, "completed")])


async def test_a_second_question_is_news_even_if_nobody_saw_the_run_between_them(
    agent_runs_emulator: Emulator,
) -> None:
    service, store = agent_runs_emulator.service, FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        run = service.create_run("asks_again", business_id=BUSINESS)
        await watcher.came(1)
        service.answer(run.id, service.get_run(run.id).interrupts[0]["id"], "yes")
        await watcher.came(2)
        service.answer(run.id, service.get_run(run.id).interrupts[0]["id"], "yes")
        await watcher.came(3)
    assert watcher.seen == [(run.id, status) for status in ("interrupted", "interrupted", "completed")]


async def test_an_answer_to_one_of_two_questions_is_no_news(agent_runs_emulator: Emulator) -> None:
    service, store = agent_runs_emulator.service, FakeStore()
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        run = service.create_run("two_questions", business_id=BUSINESS)
        await watcher.came(1)
        service.answer(run.id, service.get_run(run.id).interrupts[0]["id"], "approve")
        await asyncio.sleep(0.4)
        assert len(watcher.events) == 1
        service.answer(run.id, service.get_run(run.id).interrupts[0]["id"], "approve")
        await watcher.came(2)
    assert watcher.seen == [(run.id, "interrupted"), (run.id, "completed")]


async def test_only_some_statuses_and_one_agent(agent_runs_emulator: Emulator) -> None:
    service, store = agent_runs_emulator.service, FakeStore()
    everything = Watcher(store)
    failures = Watcher(statuses=["error"])
    of_one = Watcher(agent="short", statuses="completed")
    async with running(everything, failures, of_one):
        await settled(everything, store)
        await asyncio.sleep(0.2)
        ids = {agent: service.create_run(agent, business_id=BUSINESS).id for agent in ("short", "breaks", "instant")}
        await everything.came(3)
        await of_one.came(1)
        await failures.came(1)
        await asyncio.sleep(0.3)
    assert len(everything.events) == 3
    assert failures.seen == [(ids["breaks"], "error")]
    assert of_one.seen == [(ids["short"], "completed")]


async def test_many_runs(agent_runs_emulator: Emulator) -> None:
    service, store = agent_runs_emulator.service, FakeStore()
    service.add_finished_runs(3000)
    watcher = Watcher(store)
    async with running(watcher):
        await settled(watcher, store)
        ids = {service.create_run("short", business_id=BUSINESS).id for _ in range(700)}
        await watcher.came(700)
        await asyncio.sleep(0.3)
    assert len(watcher.events) == 700
    assert {run_id for run_id, _ in watcher.seen} == ids
