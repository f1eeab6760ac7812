# SPDX-License-Identifier: Apache-2.0
"""Faults that answer with another status, or with what is not the contract's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.faults import FAULTS
from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.conftest import Clock
from tests.emulator.contract import Client, error_of
from tests.emulator.test_faults import RUN, proves


@pytest.fixture
def plain(emulator: Emulator) -> Iterator[httpx.Client]:
    """Return a client that checks no answer against the contract."""
    headers = {"Authorization": f"Bearer {emulator.token}"}
    with httpx.Client(base_url=emulator.url, headers=headers, timeout=5) as client:
        yield client


@proves("401", "403", "404", "409", "422", "429", "500", "502", "503", "504")
@pytest.mark.parametrize("status", ["401", "403", "404", "409", "422", "429", "500", "502", "503", "504"])
def test_a_status_in_the_words_of_the_contract(emulator: Emulator, client: Client, status: str) -> None:
    before = len(emulator.service.runs)
    with emulator.faults.of(status, times=1):
        assert error_of(client.post("/v1/runs", json=RUN), int(status))["message"]
        assert (emulator.requests[-1].fault, emulator.requests[-1].status) == (status, int(status))
        assert len(emulator.service.runs) == before
        client.start("instant")


@proves("500", "502", "503", "504", "proxy page", "foreign error")
@pytest.mark.parametrize("fault", ["500", "502", "503", "504", "proxy page", "foreign error"])
def test_an_error_although_the_request_was_carried_out(emulator: Emulator, plain: httpx.Client, fault: str) -> None:
    before = len(emulator.service.runs)
    with emulator.faults.of(fault, taken=True):
        answer = plain.post("/v1/runs", json=RUN)
    assert answer.is_error or fault == "proxy page"
    assert "thread_id" not in answer.text
    assert len(emulator.service.runs) == before + 1


@proves("429", "503")
@pytest.mark.parametrize("status", ["429", "503"])
@pytest.mark.parametrize(
    ("given", "sent"), [(2, "2"), (0.5, "0.5"), (-1, "-1"), (10**30, "1" + "0" * 30), ("soon", "soon"), (None, None)]
)
def test_retry_after(emulator: Emulator, client: Client, status: str, given: Any, sent: str | None) -> None:
    with emulator.faults.of(status, retry_after=given):
        assert client.get("/v1/agents").headers.get("retry-after") == sent


@proves("429", "503")
@pytest.mark.parametrize("status", ["429", "503"])
@pytest.mark.parametrize("seconds", [30.0, -30.0])
def test_retry_after_as_a_date(emulator: Emulator, client: Client, status: str, seconds: float) -> None:
    with emulator.faults.of(status, retry_after_date=seconds):
        date = parsedate_to_datetime(client.get("/v1/agents").headers["retry-after"])
    assert abs(date.timestamp() - time.time() - seconds) < 5


def test_retry_after_by_default(emulator: Emulator, client: Client) -> None:
    with emulator.faults.of("429", times=1), emulator.faults.of("503"):
        assert client.get("/v1/agents").headers["retry-after"] == "1"
        assert "retry-after" not in client.get("/v1/agents").headers


@proves("401 until rotated")
def test_401_until_the_token_is_rotated() -> None:
    with Emulator() as emulator, Client(emulator) as old:
        emulator.faults.add("401 until rotated", after=1)
        assert old.get("/v1/agents").status_code == 200
        error_of(old.post("/v1/runs", json=RUN), 401)
        assert emulator.requests[-1].fault == "401 until rotated"
        emulator.rotate_token("mk_test_new")
        assert ":mk_test_new@" in emulator.connection_uri
        assert '"mk_test_new"' in emulator.connection_json
        error_of(old.get("/v1/agents"), 401)
        with Client(emulator) as new:
            assert new.get("/v1/agents").status_code == 200
            # A second rotation needs a rule of its own.
            emulator.faults.add("401 until rotated")
            error_of(new.get("/v1/agents"), 401)
        emulator.rotate_token("mk_test_newest")
        with Client(emulator) as newest:
            assert newest.get("/v1/agents").status_code == 200
        assert len(emulator.service.runs) == 0
        assert "mk_test" not in repr(emulator.requests)


@proves("401 until rotated")
def test_401_until_the_token_is_a_certain_one(emulator: Emulator, client: Client) -> None:
    with emulator.faults.of("401 until rotated", token="mk_test_other") as rule:
        error_of(client.get("/v1/agents"), 401)
        with Client(emulator, headers={"Authorization": "Bearer mk_test_other"}) as other:
            assert other.get("/v1/agents").status_code == 200
        assert "mk_test_other" not in repr(rule)


def test_a_token_is_rotated_without_a_fault() -> None:
    with Emulator(token="mk_test_one") as emulator, Client(emulator) as client:
        with pytest.raises(ValueError, match="something in it"):
            emulator.rotate_token(" ")
        emulator.rotate_token("mk_test_two")
        error_of(client.get("/v1/agents"), 401)
        assert emulator.token == "mk_test_two"
        assert emulator.requests[-1].fault is None


@proves("404 at first")
def test_a_run_is_not_visible_at_first(emulator: Emulator, client: Client, clock: Clock) -> None:
    with emulator.faults.of("404 at first", seconds=3, times=3) as rule:
        run_id = client.start("instant")["id"]
        error_of(client.get(f"/v1/runs/{run_id}"), 404)
        error_of(client.get(f"/v1/runs/{run_id}/stream"), 404)
        error_of(client.resume(run_id, "int_1", "approve"), 404)
        assert emulator.requests[-1].fault == "404 at first"
        clock.forward(3)
        assert client.run(run_id)["status"] == "completed"
        assert (rule.met, rule.seen) == (3, 3)
        assert client.get("/v1/runs").json()["total_count"] >= 1


@proves("truncated JSON", "malformed JSON", "empty body", "wrong content type")
@pytest.mark.parametrize("fault", ["truncated JSON", "malformed JSON", "empty body", "wrong content type"])
def test_a_body_that_is_no_answer(emulator: Emulator, plain: httpx.Client, fault: str) -> None:
    true = plain.get("/v1/agents")
    before = len(emulator.service.runs)
    with emulator.faults.of(fault):
        answer = plain.get("/v1/agents")
        assert plain.post("/v1/runs", json=RUN).status_code == 201
    assert len(emulator.service.runs) == before + 1
    expected = {
        "truncated JSON": true.content[: len(true.content) // 2],
        "malformed JSON": b"{" + true.content,
        "empty body": b"",
        "wrong content type": true.content,
    }
    assert (answer.status_code, answer.content) == (200, expected[fault])
    assert answer.headers["content-length"] == str(len(answer.content))
    kind = "text/plain" if fault == "wrong content type" else "application/json"
    assert answer.headers.get_list("content-type") == [kind]
    if fault != "wrong content type":
        with pytest.raises(json.JSONDecodeError):
            answer.json()


@proves("wrong content type")
def test_a_stream_of_the_wrong_type(emulator: Emulator, plain: httpx.Client, client: Client) -> None:
    run_id = client.start("instant")["id"]
    true = plain.get(f"/v1/runs/{run_id}/stream")
    with emulator.faults.of("wrong content type", content_type="text/html"):
        answer = plain.get(f"/v1/runs/{run_id}/stream")
    assert answer.content == true.content
    assert answer.headers["content-type"] == "text/html"


@proves("proxy page")
def test_the_page_of_a_proxy(emulator: Emulator, plain: httpx.Client) -> None:
    before = len(emulator.service.runs)
    with emulator.faults.of("proxy page", times=1), emulator.faults.of("proxy page", status=407):
        answers = [plain.post("/v1/runs", json=RUN) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 407]
    assert {answer.headers["content-type"] for answer in answers} == {"text/html; charset=utf-8"}
    assert all(answer.text.startswith("<!DOCTYPE html>") for answer in answers)
    assert len(emulator.service.runs) == before


@proves("foreign error")
def test_an_error_in_other_words(emulator: Emulator, plain: httpx.Client) -> None:
    with emulator.faults.of("foreign error", times=1):
        answer = plain.get("/v1/agents")
    assert (answer.status_code, list(answer.json())) == (500, ["error"])
    with emulator.faults.of("foreign error", status=418, body="<a/>", content_type="text/xml"):
        answer = plain.get("/v1/agents")
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (418, "<a/>", "text/xml")


@proves("redirect")
def test_a_redirect_to_another_host(emulator: Emulator, plain: httpx.Client) -> None:
    before = len(emulator.service.runs)
    with emulator.faults.of("redirect", times=1), emulator.faults.of("redirect", to="https://x.invalid/", status=307):
        answers = [plain.post("/v1/runs", json=RUN) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 307]
    elsewhere = f"http://127.0.0.2:{emulator.port}/v1/runs"
    assert [answer.headers["location"] for answer in answers] == [elsewhere, "https://x.invalid/"]
    assert len(emulator.service.runs) == before
    with pytest.raises(httpx.TransportError):
        httpx.get(elsewhere, timeout=1)


_SLOW = ("hanging", "slow answer", "slow body", "slow head", "endless body", "outage", "gigantic artifact")


@pytest.mark.parametrize("fault", [name for name, it in FAULTS.items() if it.meets == "request" and name not in _SLOW])
def test_a_fault_leaves_the_service_well(emulator: Emulator, client: Client, plain: httpx.Client, fault: str) -> None:
    client.get("/v1/agents")
    with emulator.faults.of(fault, times=1), suppress(httpx.TransportError):
        plain.get("/v1/agents")
    assert client.get("/v1/agents").status_code == 200
