# SPDX-License-Identifier: Apache-2.0
"""The offline service sends webhooks as the contract describes them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from jsonschema import Draft202012Validator

from airflow_provider_agentruns.emulator import webhooks
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.events.signature import WebhookSignature
from tests.emulator.contract import CONTRACT
from tests.events.sender import SECRET
from tests.support.scripted_server import ScriptedServer, answer, errors

#: Of a webhook's body.
SCHEMA = {
    **CONTRACT["webhooks"]["runEvent"]["post"]["requestBody"]["content"]["application/json"]["schema"],
    "components": CONTRACT["components"],
}

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_a_run_is_told_of_when_it_begins_asks_and_ends() -> None:
    with ScriptedServer([answer({}, 204)] * 3) as receiver:
        with Emulator(speed=20, webhook=f"{receiver.url}/hooks", webhook_secret=SECRET) as emulator:
            assert emulator.extra["webhook_secret"] == SECRET
            run = emulator.service.create_run("needs_approval", business_id=BUSINESS)
            wait_for(lambda: len(receiver.requests) == 2, "two webhooks")
            emulator.service.answer(run.id, emulator.service.get_run(run.id).interrupts[0]["id"], "approve")
            wait_for(lambda: len(receiver.requests) == 3, "three webhooks")
        sent = [json.loads(request.body) for request in receiver.requests]
    assert [(one["type"], one["data"]["object"]["status"]) for one in sent] == [
        ("run.created", "running"),
        ("run.interrupted", "interrupted"),
        ("run.completed", "completed"),
    ]
    assert {one["data"]["object"]["id"] for one in sent} == {run.id}
    for one in sent:
        Draft202012Validator(SCHEMA).validate(one)
    for request in receiver.requests:
        signature = WebhookSignature.parse(request.headers[WebhookSignature.HEADER.lower()])
        assert signature is not None
        assert signature.matches(request.body, [SECRET])
        assert request.headers["x-correlation-id"] == run.id


def test_what_is_not_received_is_sent_again_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_FIRST_PAUSE", 0.1)
    with ScriptedServer([errors(503, "later"), errors(401, "no"), answer({}, 204)]) as receiver:
        with Emulator(speed=0.001, webhook=receiver.url) as emulator:
            emulator.service.create_run("slow", business_id=BUSINESS)
            wait_for(lambda: len(receiver.requests) == 3, "three tries")
            time.sleep(0.5)
        assert len({request.body for request in receiver.requests}) == 1
        assert len(receiver.requests) == 3


def test_runs_of_the_past_are_no_news() -> None:
    with ScriptedServer([answer({}, 204)]) as receiver, Emulator(webhook=receiver.url) as emulator:
        emulator.service.add_finished_runs(3)
        time.sleep(0.5)
        assert receiver.requests == []


@pytest.mark.parametrize("url", ["nowhere", "ftp://127.0.0.1/", "http://"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="webhook should be an http or https URL"):
        Emulator(webhook=url)
