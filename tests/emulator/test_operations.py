# SPDX-License-Identifier: Apache-2.0
"""Every operation of the contract, and every request that it refuses."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.conftest import Clock
from tests.emulator.contract import BUSINESS_ID, Client, error_of

UNKNOWN = "91d9b30b-2098-46ba-8187-323f55f16035"
BUSINESS = {"business_id": BUSINESS_ID}


@pytest.mark.parametrize(
    ("body", "status", "parameter"),
    [
        ({"type": "instant"}, 400, None),
        ({"type": "instant", **BUSINESS, "context_type": "person", "context_id": UNKNOWN}, 400, "context_id"),
        ({"type": "nobody", "business_id": BUSINESS_ID}, 404, "type"),
        ({"type": "instant", "thread_id": UNKNOWN}, 404, "thread_id"),
        ({"business_id": BUSINESS_ID}, 422, "type"),
        ({"type": "instant", "business_id": " "}, 422, "business_id"),
        ([], 422, None),
    ],
)  # fmt: skip
def test_a_run_is_refused(client: Client, body: Any, status: int, parameter: str | None) -> None:
    before = client.get("/v1/runs").json()["total_count"]
    assert error_of(client.post("/v1/runs", json=body), status).get("parameter") == parameter
    assert client.get("/v1/runs").json()["total_count"] == before


@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
def test_a_body_that_is_not_json_is_refused(client: Client, body: bytes) -> None:
    error_of(client.post("/v1/runs", content=body), 400)


def test_runs_in_a_thread(client: Client, clock: Clock) -> None:
    thread = client.post("/v1/threads", json={"type": "slow", "business_id": BUSINESS_ID}).json()
    assert client.get(f"/v1/threads/{thread['id']}").json()["steps"] == []
    assert client.start("instant", thread_id=thread["id"])["thread_id"] == thread["id"]
    done = client.get(f"/v1/threads/{thread['id']}").json()
    assert (done["status"], done["steps"][-1]["type"]) == ("completed", "output")
    client.start("fails", thread_id=thread["id"])
    clock.forward(6)
    assert client.get(f"/v1/threads/{thread['id']}").json()["status"] == "error"


def test_threads_of_one_business(client: Client) -> None:
    business = str(uuid4())
    ids = [client.start("instant", business_id=business)["thread_id"] for _ in range(3)]
    client.start("instant")
    listed = client.get("/v1/threads", params={"business_id": business, "per_page": 2}).json()
    assert [thread["id"] for thread in listed["data"]] == [ids[2], ids[1]]
    assert (listed["has_more"], listed["total_count"]) == (True, 3)
    assert client.get("/v1/threads", params={"business_id": UNKNOWN}).json()["data"] == []
    assert client.get("/v1/threads").json()["total_count"] > 3


def test_each_run_is_on_one_page_newest_first() -> None:
    with Emulator() as emulator, Client(emulator) as client:
        started = [client.start("instant")["id"] for _ in range(105)]
        pages = [client.get("/v1/runs", params={"page": page, "per_page": 5000}).json() for page in (1, 2, 10**9)]
        assert [len(page["data"]) for page in pages] == [100, 5, 0]
        assert [page["has_more"] for page in pages] == [True, False, False]
        assert [run["id"] for page in pages for run in page["data"]] == started[::-1]
        assert len(client.get("/v1/runs").json()["data"]) == 20


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/threads"])
@pytest.mark.parametrize("value", ["0", "x", ""])
def test_a_wrong_page(client: Client, path: str, value: str) -> None:
    for name in ("page", "per_page"):
        assert error_of(client.get(path, params={name: value}), 422)["parameter"] == name


@pytest.mark.parametrize("path", ["/v1/runs/{}", "/v1/runs/{}/stream", "/v1/threads/{}", "/v1/agents/{}"])
def test_an_unknown_id(client: Client, path: str) -> None:
    error_of(client.get(path.format(UNKNOWN)), 404)


def test_an_answer_to_a_question_that_is_not_pending(emulator: Emulator, client: Client, clock: Clock) -> None:
    run_id = client.start("needs_approval")["id"]
    clock.forward(1)
    [interrupt] = client.run(run_id)["interrupts"]
    error_of(client.resume(run_id, "int_1", "approve"), 409)
    for body in ({"input": "approve"}, {"interrupt_id": interrupt["id"], "input": None}, "approve"):
        error_of(client.post(f"/v1/runs/{run_id}/resume", json=body), 422)
    assert client.resume(run_id, interrupt["id"], "approve").status_code == 200
    error_of(client.resume(run_id, interrupt["id"], "approve"), 409)
    clock.forward(1)
    assert "completed" in error_of(client.resume(run_id, interrupt["id"], "approve"), 409)["message"]
    [taken] = [answer for answer in emulator.service.answers if answer.run_id == run_id]
    assert (taken.interrupt_id, taken.input) == (interrupt["id"], "approve")


def test_a_stream_continues_after_an_answer(emulator: Emulator, client: Client, clock: Clock) -> None:
    run_id = client.start("needs_approval")["id"]
    events: list[Any] = []
    for event in client.follow(run_id):
        events.append(event)
        for interrupt in event["snapshot"]["interrupts"]:
            emulator.service.answer(run_id, interrupt["id"], "approve")
        clock.forward(1)
    snapshots = ["STATE_SNAPSHOT"] * (len(events) - 2)
    assert [event["type"] for event in events] == ["RUN_STARTED", *snapshots, "RUN_FINISHED"]
    assert "interrupted" in [event["snapshot"]["status"] for event in events]
    assert events[-1]["snapshot"] == client.run(run_id)
    later = list(client.follow(run_id))
    assert [event["type"] for event in later] == ["RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED"]
    assert {event["snapshot"]["status"] for event in later} == {"completed"}


def test_steps_are_shown_on_request(client: Client, clock: Clock) -> None:
    run_id = client.start("needs_approval")["id"]
    clock.forward(1)
    assert "steps" not in client.get(f"/v1/runs/{run_id}").json()
    run = client.get(f"/v1/runs/{run_id}?include=cost,steps").json()
    assert run["steps"]
    body = {"interrupt_id": run["interrupts"][0]["id"], "input": "approve"}
    assert client.post(f"/v1/runs/{run_id}/resume?include=steps", json=body).json()["steps"]


def test_an_artifact_is_rated(client: Client) -> None:
    run = client.start("instant")
    body = {"rating": "POSITIVE", "artifact_id": run["output"]["artifacts"][0]["id"], "comment": "x" * 5000}
    for change, parameter in (
        ({"rating": "GOOD"}, "rating"),
        ({"artifact_id": UNKNOWN}, "artifact_id"),
        ({"comment": "x" * 5001}, "comment"),
    ):
        refused = client.post(f"/v1/runs/{run['id']}/feedback", json=body | change)
        assert error_of(refused, 422)["parameter"] == parameter
    given = [client.post(f"/v1/runs/{run['id']}/feedback", json=body) for _ in range(2)]
    assert [answer.status_code for answer in given] == [201, 201]
    assert [answer.json()["superseded_prior"] for answer in given] == [False, True]
    assert given[0].json()["id"] != given[1].json()["id"]


def test_a_token_is_needed(emulator: Emulator) -> None:
    for header in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}):
        with Client(emulator, headers=header) as stranger:
            error_of(stranger.get("/v1/agents"), 401)
            error_of(stranger.get("/nowhere"), 401)
    with Client(emulator, headers={"authorization": "bearer mk_live_whatever"}) as client:
        assert client.get("/v1/agents").status_code == 200
