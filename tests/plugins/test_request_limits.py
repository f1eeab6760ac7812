# SPDX-License-Identifier: Apache-2.0
"""However many pages are open, the service gets few requests; a changed connection is used soon."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.plugins import page_client
from tests.plugins.instances import Instances
from tests.plugins.served import task_path
from tests.support import BUSINESS

PathOf = Callable[[str], httpx.URL]

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs and errors stay fresh for a moment only."""
    monkeypatch.setattr(page_client, "FRESH_FOR", 0.2)
    monkeypatch.setattr(page_client, "ERROR_FRESH_FOR", 0.1)


@pytest.fixture
def conn_id() -> str:
    """Return the ID of a connection that no page has used yet, because the server keeps its clients."""
    return f"bounded_{next(_numbers)}"


@pytest.fixture
def bounded(conn_id: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Return the service of that connection, with some rate limit."""
    extra = {"rate_limit": getattr(request, "param", 25.0)}
    with Emulator(token="mk_test_first", speed=50, extra=extra) as emulator:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", emulator.connection_uri)
        yield emulator


@pytest.fixture
def path_of(instances: Instances, conn_id: str) -> PathOf:
    """Return a function that adds a task for a run and returns the path of its data."""

    def make(run_id: str) -> httpx.URL:
        return task_path(*instances.task("bounds", rendered={"agentruns_conn_id": conn_id, "run_id": run_id}))

    return make


def request_all(reader: httpx.Client, paths: list[httpx.URL]) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(len(paths)) as threads:
        return [response.json() for response in threads.map(reader.get, paths)]


def test_all_viewers_of_a_run_share_one_request(
    reader: httpx.Client, path_of: PathOf, bounded: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_client, "FRESH_FOR", 60.0)
    place = path_of(bounded.service.create_run("needs_approval", business_id=BUSINESS).id)
    shown = request_all(reader, [place] * 12)
    assert len({one["run"]["id"] for one in shown}) == 1
    # The run is still fresh, so it is not read again.
    reader.get(place)
    assert bounded.count("GET", "/v1/runs/.*") == 1


@pytest.mark.parametrize("bounded", [1.0], indirect=True)
def test_a_page_that_would_wait_too_long_says_so(
    reader: httpx.Client, path_of: PathOf, bounded: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_client, "MAX_DELAY", 2.0)
    runs = [bounded.service.create_run("needs_approval", business_id=BUSINESS).id for _ in range(8)]
    shown = request_all(reader, [path_of(run_id) for run_id in runs])
    messages = [one["error"]["message"] for one in shown if one["error"]]
    assert 0 < len(messages) < len(runs)
    assert set(messages) == {"Page rate limit reached; retrying shortly"}


@pytest.mark.parametrize("bounded", [1.0], indirect=True)
def test_reads_for_tasks_come_before_pages(
    conn_id: str, reader: httpx.Client, path_of: PathOf, bounded: Emulator
) -> None:
    first, *others = [bounded.service.create_run("needs_approval", business_id=BUSINESS).id for _ in range(8)]
    paths = [path_of(run_id) for run_id in others]
    with ThreadPoolExecutor(1) as pages:
        pages.submit(request_all, reader, paths)
        # Meanwhile, the other pages queue.
        while len(bounded.requests) < 2:
            time.sleep(0.01)
        AgentRunHook(conn_id).get_run(first)
    assert len(bounded.requests) == 8
    assert not bounded.requests[-1].path.endswith(first)


def test_a_service_that_does_not_respond_yet_is_requested_again(
    reader: httpx.Client, path_of: PathOf, bounded: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_client, "MAX_WAIT", 0.1)
    bounded.faults.add("slow answer", seconds=2)
    place = path_of(bounded.service.create_run("needs_approval", business_id=BUSINESS).id)
    shown = reader.get(place).json()
    assert (shown["run"], shown["error"]["message"]) == (None, "The service has not responded yet")
    assert shown["refresh_after"] > 0
    assert eventually(reader, place, lambda shown: shown["run"] is not None)["error"] is None


def test_an_outage_leaves_the_last_known_state_and_a_rotated_token_is_used_soon(
    conn_id: str, reader: httpx.Client, path_of: PathOf, bounded: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bounded.service.create_run("needs_approval", business_id=BUSINESS)
    place = path_of(run.id)
    assert reader.get(place).json()["error"] is None
    bounded.faults.add("503")
    shown = eventually(reader, place, lambda shown: shown["error"] is not None)
    assert shown["run"]["id"] == run.id
    assert shown["age"] > page_client.FRESH_FOR
    bounded.faults.clear()
    assert eventually(reader, place, lambda shown: shown["error"] is None)["run"]["id"] == run.id
    bounded.rotate_token("mk_test_second")
    refused = eventually(reader, place, lambda shown: shown["error"] is not None)
    assert "401" in refused["error"]["message"]
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", bounded.connection_uri)
    assert eventually(reader, place, lambda shown: shown["error"] is None)["run"]["id"] == run.id


def eventually(reader: httpx.Client, path: httpx.URL, wanted: Callable[[Any], bool]) -> dict[str, Any]:
    end = time.monotonic() + 20
    while not wanted(shown := reader.get(path).json()):
        assert time.monotonic() < end, shown
        time.sleep(0.2)
    found: dict[str, Any] = shown
    return found
