# SPDX-License-Identifier: Apache-2.0
"""Faults of what an answer says, in bodies and in streams."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.faults import FAULTS
from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.conftest import Clock
from tests.emulator.contract import Client
from tests.emulator.test_faults import proves

_CONTENT = [name for name, fault in FAULTS.items() if fault.__module__.endswith(".content")]


@pytest.fixture
def plain(emulator: Emulator) -> Iterator[httpx.Client]:
    """Return a client that checks no answer against the contract."""
    headers = {"Authorization": f"Bearer {emulator.token}"}
    with httpx.Client(base_url=emulator.url, headers=headers, timeout=20) as client:
        yield client


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(inner)


def _events(answer: httpx.Response) -> list[Any]:
    return [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: ")]


def _waiting(client: Client, clock: Clock) -> str:
    run_id: str = client.start("two_questions")["id"]
    clock.forward(5)
    assert len(client.run(run_id)["interrupts"]) == 2
    return run_id


@pytest.mark.parametrize("fault", _CONTENT)
def test_the_rest_stays_as_it_is(emulator: Emulator, client: Client, plain: httpx.Client, fault: str) -> None:
    run_id = client.start("instant")["id"]
    true = plain.get(f"/v1/runs/{run_id}/stream")
    with emulator.faults.of(fault):
        stream = plain.get(f"/v1/runs/{run_id}/stream")
        whole = plain.get(f"/v1/runs/{run_id}")
    assert (stream.status_code, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert stream.text.count("\n\n") == true.text.count("\n\n")
    assert [line for line in stream.text.split("\n") if line.startswith("event: ")] == [
        line for line in true.text.split("\n") if line.startswith("event: ")
    ]
    assert whole.headers["content-length"] == str(len(whole.content))
    assert whole.headers["content-type"] == "application/json"
    if fault != "deep nesting":
        assert whole.json()["object"] == "run"
        assert len(_events(stream)) == len(_events(true))


@proves("unknown status")
def test_unknown_status(emulator: Emulator, client: Client, plain: httpx.Client) -> None:
    run = client.start("instant")
    with emulator.faults.of("unknown status", times=3), emulator.faults.of("unknown status", status="archived"):
        assert plain.get(f"/v1/runs/{run['id']}").json() == {**run, "status": "paused"}
        assert {it["status"] for it in plain.get("/v1/runs").json()["data"]} == {"paused"}
        events = _events(plain.get(f"/v1/runs/{run['id']}/stream"))
        assert {event["snapshot"]["status"] for event in events} == {"paused"}
        assert "paused" not in {step["status"] for event in events for step in event["snapshot"]["steps"]}
        assert plain.get(f"/v1/threads/{run['thread_id']}").json()["status"] == "archived"


@proves("unknown fields")
def test_unknown_fields_everywhere(emulator: Emulator, client: Client, plain: httpx.Client, clock: Clock) -> None:
    run_id = _waiting(client, clock)
    true = client.run(run_id)
    with emulator.faults.of("unknown fields"):
        shown = plain.get(f"/v1/runs/{run_id}", params={"include": "steps"}).json()
        [event, *_] = _events(plain.get(f"/v1/runs/{client.start('instant')['id']}/stream")) or [{}]
        error = plain.get("/v1/runs/nobody").json()
    assert len(list(_objects(true))) > 5
    assert sum("x_unknown" in it for it in _objects(shown)) == len(list(_objects(true)))
    for it in _objects(shown):
        it.pop("x_unknown", None)
    assert shown == true
    assert "x_unknown" in event["snapshot"]
    assert "x_unknown" in error["errors"][0]


@proves("null objects")
def test_null_where_an_object_was(emulator: Emulator, client: Client, plain: httpx.Client, clock: Clock) -> None:
    run_id = _waiting(client, clock)
    with emulator.faults.of("null objects", times=3):
        shown = plain.get(f"/v1/runs/{run_id}").json()
        assert (shown["id"], shown["requester"], shown["interrupts"]) == (run_id, None, [None, None])
        assert set(plain.get("/v1/runs").json()["data"]) == {None}
        assert plain.get("/v1/agents").json()["data"][0] is None
    with emulator.faults.of("null objects", field="value"):
        shown = plain.get(f"/v1/runs/{run_id}").json()
        assert [interrupt["value"] for interrupt in shown["interrupts"]] == [None, None]
        assert shown["requester"]["id"]
        listed = plain.get("/v1/runs").json()["data"]
        assert {it["value"] for run in listed for it in run["interrupts"]} == {None}


@proves("gigantic artifact")
def test_a_gigantic_artifact(emulator: Emulator, client: Client, plain: httpx.Client) -> None:
    run_id = client.start("instant")["id"]
    client.start("instant")
    with emulator.faults.of("gigantic artifact", megabytes=3):
        shown = plain.get(f"/v1/runs/{run_id}").json()
        listed = plain.get("/v1/runs").json()["data"]
    *_, artifact = shown["output"]["artifacts"]
    assert len(artifact["summary"]) == 3_000_000
    assert len(shown["output"]["artifacts"]) == 2
    completed = [run for run in listed if run["output"]]
    assert [len(run["output"]["artifacts"]) for run in completed] == [2] + [1] * (len(completed) - 1)
    assert len(emulator.service.runs[run_id].artifacts) == 1


@proves("deep nesting")
def test_deep_nesting(emulator: Emulator, client: Client, plain: httpx.Client) -> None:
    run_id = client.start("instant")["id"]
    with emulator.faults.of("deep nesting", times=1), emulator.faults.of("deep nesting", depth=3):
        deep, flat = (plain.get(f"/v1/runs/{run_id}") for _ in range(2))
    with pytest.raises(RecursionError):
        deep.json()
    assert deep.content.endswith(b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert flat.json()["nested"] == [[[]]]


@proves("duplicate interrupts")
def test_duplicate_interrupts(emulator: Emulator, client: Client, plain: httpx.Client, clock: Clock) -> None:
    run_id = _waiting(client, clock)
    ids = [interrupt["id"] for interrupt in client.run(run_id)["interrupts"]]
    with emulator.faults.of("duplicate interrupts", copies=3):
        shown = plain.get(f"/v1/runs/{run_id}").json()
    assert [interrupt["id"] for interrupt in shown["interrupts"]] == ids * 3


@proves("half surrogates")
def test_half_surrogate_pairs(emulator: Emulator, client: Client, plain: httpx.Client, clock: Clock) -> None:
    run_id = _waiting(client, clock)
    with emulator.faults.of("half surrogates"):
        answer = plain.get(f"/v1/runs/{run_id}", params={"include": "steps"})
    assert answer.content.isascii()
    label = answer.json()["interrupts"][0]["value"]["label"]
    assert label.endswith("\ud83d")
    with pytest.raises(UnicodeEncodeError):
        label.encode()
    assert {step["label"][-1] for step in answer.json()["steps"]} == {"\ud83d"}


@proves("clock skew")
@pytest.mark.parametrize("seconds", [7200.0, -86400.0])
def test_clock_skew(emulator: Emulator, client: Client, plain: httpx.Client, clock: Clock, seconds: float) -> None:
    run_id = _waiting(client, clock)
    true = client.run(run_id)
    with emulator.faults.of("clock skew", seconds=seconds):
        answer = plain.get(f"/v1/runs/{run_id}", params={"include": "steps"})
        with plain.stream("GET", f"/v1/runs/{run_id}/stream") as stream:
            first = json.loads(next(line for line in stream.iter_lines() if line.startswith("data: "))[6:])
    [date] = answer.headers.get_list("date")
    assert abs(parsedate_to_datetime(date).timestamp() - time.time() - seconds) < 5
    assert abs(parsedate_to_datetime(stream.headers["date"]).timestamp() - time.time() - seconds) < 5
    shown = answer.json()
    assert first["snapshot"]["created_at"] == shown["created_at"]
    pairs = [(shown, true), *zip(shown["steps"], true["steps"], strict=True)]
    for it, was in pairs:
        for name in ("created_at", "updated_at", "started_at", "completed_at", "ended_at"):
            if was.get(name):
                shift = datetime.fromisoformat(it[name]) - datetime.fromisoformat(was[name])
                assert shift == timedelta(seconds=seconds), name
            else:
                assert it.get(name) == was.get(name)
