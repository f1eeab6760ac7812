# SPDX-License-Identifier: Apache-2.0
"""Rules: which requests a fault applies to, how rules are written, and what is wrong with them."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.faults import FAULTS, FaultError, Rule
from airflow_provider_agentruns.emulator.faults.plan import rule_of
from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import Client


@pytest.fixture(autouse=True)
def no_rules(emulator: Emulator) -> None:
    emulator.faults.clear()


def statuses(client: httpx.Client, count: int, path: str = "/v1/agents") -> list[int]:
    """Return the statuses of some requests."""
    return [client.get(path).status_code for _ in range(count)]


def test_method_and_path_must_match(emulator: Emulator, client: Client) -> None:
    emulator.faults.add("503", "GET", "/v1/runs/.*")
    assert client.get("/v1/runs/nobody").status_code == 503
    assert client.get("/v1/runs").status_code == 200
    assert client.get("/v2/v1/runs/nobody").status_code == 404
    assert client.post("/v1/runs/nobody/resume", json={}).status_code == 404
    emulator.faults.clear()
    emulator.faults.add("503", path=".*agents")
    assert client.post("/v1/agents").status_code == 503
    assert client.get("/v1/runs").status_code == 200


def test_the_first_rule_that_is_due_applies(emulator: Emulator, client: Client) -> None:
    rules = emulator.faults.add_plan(["503 times=1 after=1", "502 times=2", "500 after=4"])
    assert statuses(client, 6) == [502, 503, 502, 200, 500, 500]
    assert [(rule.met, rule.seen) for rule in rules] == [(1, 6), (2, 6), (2, 6)]
    assert [request.fault for request in emulator.requests[-6:]] == ["502", "503", "502", None, "500", "500"]


def test_rules_come_and_go_while_the_service_is_running(emulator: Emulator, client: Client) -> None:
    with emulator.faults.of("503") as outer:
        with emulator.faults.of("502"):
            assert statuses(client, 1) == [503]
            emulator.faults.remove(outer)
            assert statuses(client, 1) == [502]
        assert statuses(client, 1) == [200]
    with pytest.raises(ZeroDivisionError), emulator.faults.of("503"):
        _ = 1 / 0
    assert emulator.faults.active == ()


def test_a_share_is_the_same_for_the_same_seed() -> None:
    outcomes = []
    for seed in (1, 1, 2):
        with Emulator(seed=seed, faults=["503 share=0.3"]) as emulator, httpx.Client(base_url=emulator.url) as client:
            outcomes.append(statuses(client, 100))
    assert 15 < outcomes[0].count(503) < 45
    assert outcomes[1] == outcomes[0] != outcomes[2]


SAME = rule_of({"fault": "503", "method": "GET", "path": "/v1/runs/.*", "times": 2, "retry_after": 2})


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ({"fault": 503, "method": "GET", "path": "/v1/runs/.*", "times": 2, "retry_after": 2, "after": 0}, SAME),
        ("503 GET /v1/runs/.* times=2 retry_after=2", SAME),
        (r"answer lost /v1/runs/\d+=\S*", Rule(fault=FAULTS["answer lost"], path=r"/v1/runs/\d+=\S*")),
        ("429 retry_after='Wed, 21 Oct'", rule_of({"fault": "429", "retry_after": "Wed, 21 Oct"})),
        ("unknown status status=7", rule_of({"fault": "unknown status", "status": "7"})),
        ("503 taken=true", rule_of({"fault": "503", "taken": True})),
    ],
)
def test_the_same_rule_in_many_forms(entry: Any, rule: Rule) -> None:
    assert rule_of(entry) == rule


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"fault": "anser lost"}, "fault: no fault has the name 'anser lost'; did you mean 'answer lost'?"),
        ({"method": "get"}, "method: 'get' is not one of ['GET', "),
        ({"path": "("}, "path: '(' is not a 'regex'"),
        ({"tmies": 1}, "tmies: is not a field of '503': its fields are method, path, after, times, share, "),
        ({"retry_after": "a\nb"}, "retry_after: 'a\\nb' does not match"),
        ({"fault": "body cut off", "part": 1}, "part: 1 is greater than or equal to the maximum of 1"),
        ({"fault": "refused", "method": "GET"}, "method: is not a field of 'refused': its fields are none"),
    ],
)
def test_a_wrong_rule(emulator: Emulator, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(FaultError, match=re.escape(says)):
        emulator.faults.add(**{"fault": "503", **fields})


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (["503", 7], "rule 7: a rule is an object or a text, not 7"),
        ([{"method": "GET"}], "rule {'method': 'GET'}: fault: no fault has the name 'None'"),
        (["503 GET twice"], "rule '503 GET twice': 'twice' is not a field: fields are written name=value"),
    ],
)
def test_a_wrong_plan_adds_no_rule(emulator: Emulator, plan: list[Any], says: str) -> None:
    with pytest.raises(FaultError, match=re.escape(says)):
        emulator.faults.add_plan(plan)
    assert emulator.faults.active == ()
