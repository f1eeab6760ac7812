# SPDX-License-Identifier: Apache-2.0
"""The event trigger in Airflow's own shared streams: it misses no run, and repeats an event only after a kill."""

from __future__ import annotations

import asyncio
import json
import os
import time
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, AssetWatcher
from airflow.sdk.module_loading import import_string

from airflow_provider_agentruns.airflow_adapter.asset_state import asset_state_stores
from airflow_provider_agentruns.events import cursor_store, run_event_poller
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.models import RunStatus
from airflow_provider_agentruns.triggers.agent_run import AgentRunEventTrigger, AgentRunTrigger, FormAnswerTrigger
from tests.events.listing import Listing
from tests.events.watchers import ENV, FakeStore, Watcher, running, settled
from tests.hooks.connections import open_sockets
from tests.support.airflow_names import encode_trigger, smart_decode_trigger_kwargs
from tests.support.airflow_versions import needs_asset_state_store
from tests.support.scripted_server import ScriptedServer, Serve, answer, errors
from tests.triggers.waiting import until


@pytest.fixture
def runs() -> Listing:
    return Listing()


@pytest.fixture(autouse=True)
def server(runs: Listing, serve: Serve) -> ScriptedServer:
    return serve(runs)


async def test_each_run_makes_one_event_per_status(runs: Listing) -> None:
    runs.add("old", "completed")
    runs.add("open", "interrupted", "i-1")
    async with running(watcher := Watcher(store := FakeStore())):
        await settled(watcher, store)
        runs.add("open", "running")
        runs.add("fails", "error")
        runs.add("asks", "interrupted", "i-1")
        runs.add("works")
        runs.add("odd", "paused")
        await watcher.came(2)
        await until(lambda: {"open", "works", "odd"} <= store.cursor["unfinished"].keys())
        runs.add("open", "completed")
        runs.add("asks", "interrupted", "i-2")
        runs.add("works", "completed")
        await watcher.came(5)
        await asyncio.sleep(0.2)
    asked = [("asks", "interrupted")] * 2
    assert sorted(watcher.seen) == [*asked, ("fails", "error"), ("open", "completed"), ("works", "completed")]
    # Nothing else: outputs and questions may hold personal data.
    assert watcher.events[0].keys() == {"run_id", "status", "agent"}


async def test_only_some_statuses_of_one_agent(runs: Listing) -> None:
    async with running(watcher := Watcher(store := FakeStore(), statuses=["error"], agent="b")):
        await settled(watcher, store)
        runs.add("1", "error", agent="a")
        runs.add("2", "completed", agent="b")
        runs.add("3", "error", agent="b")
        await watcher.came(1)
    assert watcher.seen == [("3", "error")]


@needs_asset_state_store
async def test_what_happens_while_no_trigger_runs_is_reported_later(
    runs: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(first := Watcher(store := FakeStore())):
        await settled(first, store)
        runs.add("reported", "completed")
        runs.add("answered", "interrupted", "i-1")
        runs.add("open", "interrupted", "i-1")
        await first.came(3)
        await until(lambda: {"answered", "open"} <= store.cursor["unfinished"].keys())
    # More than one batch.
    monkeypatch.setattr(run_event_poller, "BATCH_SIZE", 6)
    expected = [("answered", "completed"), *((f"new-{number:03}", "error") for number in range(20))]
    for run_id, status in expected:
        runs.add(run_id, status)
    async with running(second := Watcher(store)):
        await second.came(21)
        await asyncio.sleep(0.2)
    assert sorted(second.seen) == expected


@needs_asset_state_store
async def test_an_edited_watcher_continues_where_the_previous_one_was(runs: Listing) -> None:
    async with running(first := Watcher(store := FakeStore(), statuses=["completed"])):
        await settled(first, store)
        runs.add("failed before", "error")
        runs.add("asks", "interrupted", "i-1")
        runs.add("reported", "completed")
        await store.recorded(2)
    runs.add("failed in between", "error")
    runs.add("completed in between", "completed")
    runs.add("asks", "completed")
    # The triggerer is killed before the event of the edited watcher is stored.
    async with running(killed := Watcher(store, statuses=["completed", "error"], stored=False)):
        await killed.came(3)
    async with running(second := Watcher(store, statuses=["completed", "error"])):
        await store.recorded(5)
    expected = [("asks", "completed"), ("completed in between", "completed"), ("failed in between", "error")]
    assert sorted(killed.seen) == sorted(second.seen) == expected
    # Edited back to what it was.
    runs.add("failed again", "error")
    runs.add("completed again", "completed")
    async with running(again := Watcher(store, statuses=["completed"])):
        await store.recorded(7)
    assert again.seen == [("completed again", "completed")]


@needs_asset_state_store
async def test_an_edited_watcher_does_not_continue_where_another_watcher_of_the_asset_is(runs: Listing) -> None:
    store = FakeStore()
    completed, failed = Watcher(store, statuses=["completed"]), Watcher(store, statuses=["error"])
    async with running(completed):
        await settled(completed, store)
        async with running(failed):
            await until(lambda: len(store.cursors) == 2)
            runs.add("1", "error")
            await store.recorded(1, watchers=2)
        # One of them continues alone, while the other one is edited.
        runs.add("2", "error")
        runs.add("3", "completed")
        await store.recorded(3)
        async with running(edited := Watcher(store, statuses=["error", "interrupted"])):
            await store.recorded(3, watchers=2)
        # Each has a cursor of its own.
        runs.add("4", "error")
        runs.add("5", "completed")
        await store.recorded(5)
        async with running(again := Watcher(store, statuses=["error", "interrupted"])):
            await store.recorded(5, watchers=2)
    assert edited.seen == [("2", "error")]
    assert again.seen == [("4", "error")]
    assert completed.seen == [("3", "completed"), ("5", "completed")]


@needs_asset_state_store
async def test_a_new_watcher_does_not_continue_where_a_removed_one_stopped(
    runs: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(kept := Watcher(store := FakeStore(), statuses=["completed"])):
        await settled(kept, store)
        async with running(Watcher(store, statuses=["interrupted"])):
            await until(lambda: len(store.cursors) == 2)
        monkeypatch.setattr(cursor_store, "time", SimpleNamespace(time=lambda: time.time() + 3600))
        runs.add("1", "error")
        await store.recorded(1)
        async with running(new := Watcher(store, statuses=["error"])):
            await store.recorded(1, watchers=2)
            runs.add("2", "error")
            await store.recorded(2, watchers=2)
    assert new.seen == [("2", "error")]


@needs_asset_state_store
async def test_one_watcher_of_several_assets_has_a_cursor_with_each(runs: Listing) -> None:
    stores = {name: FakeStore() for name in ("b", "a")}
    async with running(first := Watcher(SimpleNamespace(_by_name=stores, _by_uri={}))):
        await settled(first, stores["b"])
        runs.add("reported", "completed")
        await first.came(1)
        await until(lambda: stores["a"].cursor == stores["b"].cursor and bool(stores["a"].cursor["finished"]))
    runs.add("missed", "completed")
    # One asset no longer has the watcher, and another one has it for the first time.
    async with running(second := Watcher(SimpleNamespace(_by_name={"0": FakeStore(), "b": stores["b"]}, _by_uri={}))):
        await second.came(1)
        await asyncio.sleep(0.2)
    assert second.seen == [("missed", "completed")]


@needs_asset_state_store
async def test_a_failing_store_is_waited_for(runs: Listing) -> None:
    store = FakeStore()
    # Without a first cursor, a restart would take the next run as already reported.
    store.write_errors = [OSError("no database")]
    async with running(first := Watcher(store)):
        await settled(first, store)
        store.write_errors = [OSError("no database")] * 2
        runs.add("open", "interrupted", "i-1")
        await first.came(1)
        await until(lambda: "open" in store.cursor["unfinished"])
    store.read_errors = [OSError("no database")]
    runs.add("open", "completed")
    async with running(second := Watcher(store)):
        await second.came(1)
    assert second.seen == [("open", "completed")]


@needs_asset_state_store
async def test_an_unreadable_cursor_counts_as_none(runs: Listing) -> None:
    async with running(first := Watcher(store := FakeStore())):
        await settled(first, store)
    for key, value in store.values.items():
        if isinstance(json.loads(value), dict):
            await store.aset(key, {"version": 99})
    runs.add("old", "completed")
    async with running(second := Watcher(store)):
        await store.recorded(1)
        runs.add("new", "completed")
        await store.recorded(2)
    assert second.seen == [("new", "completed")]


async def test_without_a_store_each_start_is_the_first(runs: Listing, server: ScriptedServer) -> None:
    for number in range(2):
        before = len(server.requests)
        async with running(watcher := Watcher()):
            # The second request shows that the first poll is over.
            await until(lambda before=before: len(server.requests) > before + 1)  # type: ignore[misc]
            runs.add(f"new-{number}", "completed")
            await watcher.came(1)
        assert watcher.seen == [(f"new-{number}", "completed")]
        runs.add(f"missed-{number}", "completed")


async def test_a_connection_that_cannot_work_is_waited_for(
    runs: Listing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Airflow would restart a failed trigger within seconds, without end."""
    async with running(watcher := Watcher(store := FakeStore())):
        await settled(watcher, store)
        good = os.environ[ENV]
        runs.fault = lambda request: errors(401, "A valid token is needed")
        await until(lambda: "A valid token is needed" in caplog.text)
        monkeypatch.setenv(ENV, "agentruns://@api.middesk.com")
        await until(lambda: "API token (password) is missing" in caplog.text)
        runs.fault = lambda request: None
        runs.add("missed", "completed")
        monkeypatch.setenv(ENV, good)
        await watcher.came(1)


@pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("with_store", [True, False])
async def test_a_cancelled_trigger_leaves_nothing_behind(
    server: ScriptedServer, runs: Listing, with_store: bool
) -> None:
    before = asyncio.all_tasks()
    async with running(watcher := Watcher(FakeStore() if with_store else None)):
        await until(lambda: len(server.requests) > 1)
        runs.add("new", "completed")
        await watcher.came(1)
        assert open_sockets(server.port) > 0
    assert open_sockets(server.port) == 0
    # During a request.
    runs.fault = lambda request: answer({"data": []}, delay=30)
    async with running(Watcher(FakeStore() if with_store else None)):
        seen = len(server.requests)
        await until(lambda: len(server.requests) > seen)
    assert open_sockets(server.port) == 0
    assert asyncio.all_tasks() == before


async def test_a_trigger_that_is_cancelled_while_airflow_takes_an_event_leaves_nothing_behind(
    server: ScriptedServer, runs: Listing
) -> None:
    """On Airflow 3.1 and 3.2, its task may be cancelled outside the generator."""
    before = asyncio.all_tasks()
    trigger = Watcher().trigger
    events = trigger.run()
    first = asyncio.ensure_future(anext(events))
    await until(lambda: len(server.requests) > 1)
    runs.add("new", "completed")
    await first
    assert open_sockets(server.port) > 0
    await trigger.cleanup()
    assert open_sockets(server.port) == 0
    assert asyncio.all_tasks() == before
    await events.aclose()


@pytest.mark.parametrize(
    ("arguments", "kwargs"),
    [
        ({}, {}),
        ({"statuses": {RunStatus.INTERRUPTED, "completed"}}, {"statuses": ["completed", "interrupted"]}),
        ({"agent": "slow", "poll_interval": 0}, {"agent": "slow", "poll_interval": 0.02}),
    ],
)
def test_the_trigger_survives_serialization(arguments: dict[str, Any], kwargs: dict[str, Any]) -> None:
    trigger = AgentRunEventTrigger(**arguments)
    defaults = {
        "agentruns_conn_id": "agentruns_default",
        "statuses": ["completed", "interrupted", "error"],
        "agent": None,
        "poll_interval": 30.0,
    }
    path, serialized = trigger.serialize()
    assert serialized == {**defaults, **kwargs}
    assert all(type(status) is str for status in serialized["statuses"])
    # As the DAG processor writes it, and as the triggerer reads it.
    written = json.loads(json.dumps(encode_trigger(AssetWatcher(name="w", trigger=trigger).trigger)))
    assert written["classpath"] == path
    again = import_string(path)(**{key: smart_decode_trigger_kwargs(value) for key, value in written["kwargs"].items()})
    assert again.serialize() == (path, serialized)


def test_unknown_arguments_are_accepted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    triggers = (
        AgentRunEventTrigger(agent="slow", newer=1),
        AgentRunTrigger("r-1", newer=2),
        FormAnswerTrigger("00000000-0000-0000-0000-000000000001", newer=3),
    )
    assert all("newer" not in trigger.serialize()[1] for trigger in triggers)
    assert caplog.text.count("Ignoring unknown arguments of a trigger: ['newer']") == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"statuses": ()}, "wait_for is empty"),
        ({"statuses": ["completed", "running"]}, "not 'running'"),
        ({"agent": " "}, "agent should be"),
    ],
)
def test_an_invalid_argument_is_an_error_when_the_dag_is_parsed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AgentRunsValueError, match=message):
        AgentRunEventTrigger(**arguments)


@needs_asset_state_store
def test_the_stores_of_all_assets_are_found_in_what_airflow_gives_the_trigger() -> None:
    from airflow.sdk.execution_time import context

    assets = [Asset(name=name, uri=f"test://{name}") for name in ("b", "a")]
    both = asset_state_stores(context.AssetStateStoreAccessors(inlets=assets))
    assert both == [context.AssetStateStoreAccessor(name=name) for name in ("a", "b")]
    one = asset_state_stores(context.AssetStateStoreAccessors(inlets=assets[:1]))
    assert one == [context.AssetStateStoreAccessor(name="b")]
    assert asset_state_stores(None) == []
    other = SimpleNamespace(aget=None, aset=None)
    assert asset_state_stores(other) == [other]
