# SPDX-License-Identifier: Apache-2.0
"""Rules select requests, can be written in several forms, and name a mistake."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.fault_table import FAULTS, Fault
from airflow_provider_agentruns.emulator.faults import rule_of
from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import Client


def statuses(client: httpx.Client, count: int) -> list[int]:
    return [client.get("/v1/agents").status_code for _ in range(count)]


def test_method_and_path_must_match(emulator: Emulator, client: Client) -> None:
    emulator.faults.add("503", "GET", "/v1/runs/.*")
    assert client.get("/v1/runs/nobody").status_code == 503
    assert client.get("/v1/runs").status_code == 200
    assert client.get("/v2/v1/runs/nobody").status_code == 404
    assert client.post("/v1/runs/nobody/resume", json={}).status_code == 404


def test_the_first_rule_that_is_due_applies(emulator: Emulator, client: Client) -> None:
    rules = [emulator.faults.add(rule) for rule in ("503 times=1 after=1", "502 times=2", "500 after=4")]
    assert statuses(client, 6) == [502, 503, 502, 200, 500, 500]
    assert [(rule.met, rule.seen) for rule in rules] == [(1, 6), (2, 6), (2, 6)]
    assert [request.fault for request in emulator.requests[-6:]] == ["502", "503", "502", None, "500", "500"]


def test_a_rule_of_a_block_ends_with_it(emulator: Emulator, client: Client) -> None:
    with emulator.faults.of("503") as outer:
        with emulator.faults.of("502"):
            assert statuses(client, 1) == [503]
            emulator.faults.remove(outer)
            assert statuses(client, 1) == [502]
        assert statuses(client, 1) == [200]


def test_a_share_is_the_same_for_the_same_seed() -> None:
    outcomes = []
    for seed in (1, 1, 2):
        with Emulator(seed=seed, faults=["503 share=0.3"]) as emulator, httpx.Client(base_url=emulator.url) as client:
            outcomes.append(statuses(client, 100))
    assert 15 < outcomes[0].count(503) < 45
    assert outcomes[1] == outcomes[0] != outcomes[2]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (
            "503 GET /v1/runs/.* times=2 retry_after=2 taken=true",
            {"method": "GET", "path": "/v1/runs/.*", "times": 2, "retry_after": 2, "taken": True},
        ),
        (r"answer lost /v1/runs/\d+=\S*", {"path": r"/v1/runs/\d+=\S*"}),
        ("429 retry_after='Wed, 21 Oct'", {"retry_after": "Wed, 21 Oct"}),
        ("unknown status status=7", {"status": "7"}),
    ],
)
def test_a_rule_is_a_line_of_text(emulator: Emulator, line: str, fields: dict[str, Any]) -> None:
    rule = emulator.faults.add(line)
    assert rule.model_dump() == emulator.faults.add(rule.fault.name, **fields).model_dump()


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("anser lost", "rule 'anser lost': fault: no fault has the name 'anser lost': the names are refused, "),
        ("503 method=get", "method: Input should be 'GET', 'POST'"),
        ("503 path=(", "path: Input should be a valid regular expression"),
        ("503 tmies=1", "tmies: is not a field of '503': its fields are method, path, after, times, share, "),
        ("503 retry_after='a\nb'", "retry_after: String should match pattern"),
        ("body cut off part=1", "part: Input should be less than 1"),
        ("refused GET", "method: is not a field of 'refused': its fields are none"),
        ("503 GET twice", "rule '503 GET twice': 'twice' is not a field: fields are written name=value"),
    ],
)
def test_a_wrong_rule_is_not_added(emulator: Emulator, rule: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        emulator.faults.add(rule)
    assert emulator.faults.active == ()


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_documented_usage_is_a_rule(fault: Fault) -> None:
    assert rule_of(fault.usage).model_dump() == rule_of(fault.name).model_dump()
