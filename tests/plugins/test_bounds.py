# SPDX-License-Identifier: Apache-2.0
"""However many pages are open, the service is asked little, and a changed connection is picked up."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.plugins import account, single_flight_cache
from tests.plugins.conftest import BUSINESS
from tests.plugins.instances import Instances
from tests.plugins.served import task_path

PlaceOf = Callable[[str], httpx.URL]

_numbers = itertools.count(1)
RATE_LIMIT = 25.0


@pytest.fixture
def conn_id() -> str:
    """Return the id of a connection that no page has used yet: the server keeps them for a while."""
    return f"bounded_{next(_numbers)}"


@pytest.fixture
def bounded(conn_id: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Return the service behind that connection."""
    with Emulator(token="mk_test_first", speed=50, extra={"rate_limit": RATE_LIMIT}) as emulator:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", emulator.connection_uri)
        yield emulator


@pytest.fixture
def place_of(instances: Instances, conn_id: str) -> PlaceOf:
    """Return what makes a task that has to do with a run, and says where its page asks."""

    def make(run_id: str) -> httpx.URL:
        return task_path(*instances.task("bounds", rendered={"agentruns_conn_id": conn_id, "run_id": run_id}))

    return make


def ask_all(reader: httpx.Client, paths: list[httpx.URL]) -> list[dict[str, Any]]:
    """Ask for all at the same time."""
    together = threading.Barrier(len(paths))

    def ask(path: httpx.URL) -> dict[str, Any]:
        together.wait(20)
        shown: dict[str, Any] = reader.get(path).json()
        return shown

    with ThreadPoolExecutor(len(paths)) as threads:
        return list(threads.map(ask, paths))


def test_a_run_that_many_look_at_is_read_once(
    reader: httpx.Client, place_of: PlaceOf, bounded: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow this machine is just now.
    monkeypatch.setattr(account, "FRESH", 60.0)
    place = place_of(bounded.service.create_run("needs_approval", business_id=BUSINESS).id)
    shown = ask_all(reader, [place] * 12)
    assert len({one["run"]["id"] for one in shown}) == 1
    # Again while that is new: nothing more is asked.
    reader.get(place)
    assert bounded.count("GET", "/v1/runs/.*") == 1


def test_a_run_that_goes_on_is_read_again_when_that_is_old(
    reader: httpx.Client, place_of: PlaceOf, bounded: Emulator
) -> None:
    place = place_of(bounded.service.create_run("needs_approval", business_id=BUSINESS).id)
    for number in (1, 2):
        reader.get(place)
        assert bounded.count("GET", "/v1/runs/.*") == number
        time.sleep(account.FRESH + 0.1)


def test_a_run_that_has_ended_is_hardly_read_again(reader: httpx.Client, place_of: PlaceOf, bounded: Emulator) -> None:
    run = bounded.service.create_run("instant", business_id=BUSINESS)
    for _ in range(2):
        assert reader.get(place_of(run.id)).json()["run"]["finished"]
        time.sleep(account.FRESH + 0.1)
    assert bounded.count("GET", "/v1/runs/.*") == 1


def test_many_runs_together_keep_to_the_pages_share(reader: httpx.Client, place_of: PlaceOf, bounded: Emulator) -> None:
    runs = [bounded.service.create_run("needs_approval", business_id=BUSINESS).id for _ in range(9)]
    paths = [place_of(run_id) for run_id in runs]
    started = time.monotonic()
    assert [one["run"]["id"] for one in ask_all(reader, paths)] == runs
    # The first comes at once, and each after it when it is its turn.
    assert time.monotonic() - started >= (len(runs) - 1) / (RATE_LIMIT * account.SHARE)
    assert bounded.count("GET", "/v1/runs/.*") == len(runs)


def test_who_would_wait_too_long_is_told(
    reader: httpx.Client, place_of: PlaceOf, bounded: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "LONGEST_TURN", 0.1)
    runs = [bounded.service.create_run("needs_approval", business_id=BUSINESS).id for _ in range(12)]
    shown = ask_all(reader, [place_of(run_id) for run_id in runs])
    told = [one["error"]["message"] for one in shown if one["error"]]
    assert 0 < len(told) < len(runs)
    assert all("at most 5 requests a second" in message for message in told)


def test_what_was_seen_last_is_shown_while_the_service_is_down_and_then_anew(
    reader: httpx.Client, place_of: PlaceOf, bounded: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_flight_cache, "FRESH_ERROR", 0.1)
    run = bounded.service.create_run("needs_approval", business_id=BUSINESS)
    place = place_of(run.id)
    assert reader.get(place).json()["error"] is None
    bounded.faults.add("503")
    time.sleep(account.FRESH + 0.1)
    shown = eventually(reader, place, lambda shown: shown["error"] is not None)
    assert shown["run"]["id"] == run.id
    assert shown["age"] > account.FRESH
    bounded.faults.clear()
    assert eventually(reader, place, lambda shown: shown["error"] is None)["age"] < account.FRESH


def test_a_token_that_is_changed_in_the_connection_is_picked_up(
    conn_id: str, reader: httpx.Client, place_of: PlaceOf, bounded: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_flight_cache, "FRESH_ERROR", 0.1)
    run = bounded.service.create_run("needs_approval", business_id=BUSINESS)
    place = place_of(run.id)
    assert reader.get(place).json()["error"] is None
    bounded.rotate_token("mk_test_second")
    time.sleep(account.FRESH + 0.1)
    refused = eventually(reader, place, lambda shown: shown["error"] is not None)
    assert "401" in refused["error"]["message"]
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", bounded.connection_uri)
    assert eventually(reader, place, lambda shown: shown["error"] is None)["run"]["id"] == run.id


def eventually(reader: httpx.Client, path: httpx.URL, wanted: Any) -> dict[str, Any]:
    """Ask until the answer is as wanted."""
    end = time.monotonic() + 20
    while not wanted(shown := reader.get(path).json()):
        assert time.monotonic() < end, shown
        time.sleep(0.2)
    found: dict[str, Any] = shown
    return found
