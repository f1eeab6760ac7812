# SPDX-License-Identifier: Apache-2.0
"""Rules that make no sense, and faults that a test makes itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse

from airflow_provider_agentruns.emulator.faults import FAULTS, Fault, FaultError, Rule
from airflow_provider_agentruns.emulator.faults.exchange import Exchange
from airflow_provider_agentruns.emulator.faults.statuses import Unavailable
from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import Client
from tests.emulator.test_faults import RUN


@pytest.fixture(scope="module")
def served() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(served: Emulator) -> Iterator[Emulator]:
    yield served
    served.faults.clear()


@pytest.fixture
def client(emulator: Emulator) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {emulator.token}"}
    with httpx.Client(base_url=emulator.url, headers=headers) as client:
        yield client


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"fault": "504 "}, "fault: there is no fault '504 '; is '504' meant?"),
        ({"fault": "anser lost"}, "fault: there is no fault 'anser lost'; is 'answer lost' meant?"),
        ({"fault": None}, "fault: must be the name of a fault, not None"),
        ({"method": "get"}, "method: must be a method in capitals, not 'get'"),
        ({"method": 1}, "method: must be a text or null, not 1"),
        ({"path": "("}, "path: must be a regular expression: "),
        ({"after": -1}, "after: must be at least 0, not -1"),
        ({"after": 1.5}, "after: must be a whole number, not 1.5"),
        ({"times": 0}, "times: must be at least 1, not 0"),
        ({"times": True}, "times: must be a whole number or null, not True"),
        ({"share": 0}, "share: must be above 0, and 1 at most, not 0"),
        ({"share": "half"}, "share: must be a number, not 'half'"),
        ({"tmies": 1}, "tmies: is no field of 503; there are method, path, after, times, share, "),
        ({"retry_after": [1]}, "retry_after: must be a number or a text or null, not [1]"),
        ({"retry_after": "a\nb"}, "retry_after: must be a text that fits into a header"),
        ({"taken": 1}, "taken: must be true or false, not 1"),
        ({"fault": "answer lost", "taken": False}, "taken: is no field of answer lost"),
        ({"fault": "slow answer", "seconds": -1}, "seconds: must be at least 0, not -1"),
        ({"fault": "slow answer", "seconds": float("nan")}, "seconds: must be a number, not nan"),
        ({"fault": "slow body", "size": 0}, "size: must be at least 1, not 0"),
        ({"fault": "body cut off", "part": 1}, "part: must be below 1, not 1"),
        ({"fault": "clock skew", "seconds": 1e9}, "seconds: must be ten years at most"),
        ({"fault": "proxy page", "status": 304}, "status: must be a status with a body"),
        ({"fault": "foreign error", "status": 100}, "status: must be a status with a body"),
        ({"fault": "foreign error", "content_type": "\n"}, "content_type: must be a text that fits"),
        ({"fault": "redirect", "status": 200}, "status: must be one of 301, 302, 303, 307, 308, not 200"),
        ({"fault": "redirect", "to": "https://example.com/"}, "to: must be a URL of this machine or of a host below"),
        ({"fault": "redirect", "to": "http://127.0.0.2/\r\nx"}, "to: must be a URL"),
        ({"fault": "refused", "method": "GET"}, "method: means nothing for the fault refused, which meets a service"),
        ({"fault": "refused", "times": 1}, "times: means nothing for the fault refused"),
        ({"fault": "connection closed", "path": ".*"}, "path: means nothing for the fault connection closed"),
    ],
)
def test_a_rule_that_makes_no_sense(emulator: Emulator, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(FaultError, match=re.escape(says)) as refusal:
        emulator.faults.add(**{"fault": "503", **fields})
    assert refusal.value.field == says.partition(":")[0]
    assert emulator.faults.in_force == ()


def test_a_rule_has_a_fault_in_it() -> None:
    with pytest.raises(FaultError, match="fault: must be a fault, not '503'"):
        Rule(fault="503")  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class _Mine(Fault):
    """Answers with what the test wants, once the request was carried out."""

    answer: Callable[[str], object]

    async def meet(self, exchange: Exchange) -> None:
        async with exchange.carried_out() as answer:
            assert answer.status == 201
        await exchange.respond(JSONResponse(self.answer(exchange.request.path)))


@dataclass(frozen=True, kw_only=True)
class _Broken(Fault):
    async def meet(self, exchange: Exchange) -> None:
        raise ZeroDivisionError("nobody can")


def test_a_fault_of_a_test_itself(emulator: Emulator, client: httpx.Client) -> None:
    before = len(emulator.service.runs)
    rule = emulator.faults.add(_Mine(answer=lambda path: {"path": path}), "POST", "/v1/runs", times=1)
    assert client.post("/v1/runs", json=RUN).json() == {"path": "/v1/runs"}
    assert (rule.met, emulator.requests[-1].fault) == (1, "a fault of your own")
    assert client.post("/v1/runs", json=RUN).status_code == 201
    assert len(emulator.service.runs) == before + 2
    assert _Mine not in FAULTS.values()
    with pytest.raises(FaultError, match="answer: goes into the fault itself"):
        emulator.faults.add(_Mine(answer=str), answer=repr)


def test_a_fault_that_is_broken_itself(
    emulator: Emulator, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.faults.add(_Broken())
    answer = client.get("/v1/agents")
    assert answer.status_code == 500
    assert "could not happen: nobody can" in answer.text
    assert "ZeroDivisionError" in caplog.text


def test_a_rule_may_be_made_before(emulator: Emulator, client: httpx.Client) -> None:
    rule = Rule(fault=Unavailable(retry_after=3), method="GET", times=1)
    assert len(emulator.faults.add_plan([rule, Unavailable()])) == 2
    assert [client.get("/v1/agents").headers.get("retry-after") for _ in range(2)] == ["3", None]


def test_a_plan_is_taken_as_a_whole_or_not_at_all(emulator: Emulator) -> None:
    with pytest.raises(FaultError, match=r"entry 2 \(50\): fault: there is no fault '50'"):
        emulator.faults.add_plan(["503", ("50", "GET")])
    assert emulator.faults.in_force == ()


def test_a_fault_is_added_from_within_the_server() -> None:
    with Emulator() as emulator, Client(emulator) as client:

        @dataclass(frozen=True, kw_only=True)
        class _Closes(Fault):
            async def meet(self, exchange: Exchange) -> None:
                emulator.faults.add("refused")
                exchange.close()

        emulator.faults.add(_Closes(), times=1)
        with pytest.raises(httpx.TransportError):
            client.get("/v1/agents")
        with pytest.raises(httpx.ConnectError):
            client.get("/v1/agents")
        emulator.faults.clear()
        assert client.get("/v1/agents").status_code == 200
