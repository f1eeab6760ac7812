# SPDX-License-Identifier: Apache-2.0
"""The offline service sends webhooks as the contract describes them."""

from __future__ import annotations

import json
import time

import pytest
from jsonschema import Draft202012Validator

from airflow_provider_agentruns.emulator import webhooks
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.events.signed_webhook import HEADER, is_signed
from tests.emulator.contract import BUSINESS_ID, CONTRACT
from tests.emulator.wire import eventually
from tests.events.sender import SECRET
from tests.support.scripted_server import ScriptedServer, answer, errors

#: The schema of a webhook's body.
SCHEMA = {
    **CONTRACT["webhooks"]["runEvent"]["post"]["requestBody"]["content"]["application/json"]["schema"],
    "components": CONTRACT["components"],
}


def test_the_events_of_a_run() -> None:
    with ScriptedServer([answer({})] * 3) as receiver:
        with Emulator(speed=20, webhook=f"{receiver.url}/hooks", webhook_secret=SECRET) as emulator:
            assert emulator.extra["webhook_secret"] == SECRET
            run = emulator.service.create_run("needs_approval", business_id=BUSINESS_ID)
            eventually(lambda: len(receiver.requests) == 2)
            emulator.service.answer(run.id, emulator.service.get_run(run.id).interrupts[0]["id"], "approve")
            eventually(lambda: len(receiver.requests) == 3)
        sent = [json.loads(request.body) for request in receiver.requests]
    assert {(one["type"], one["data"]["object"]["status"]) for one in sent} == {
        ("run.created", "running"),
        ("run.interrupted", "interrupted"),
        ("run.completed", "completed"),
    }
    assert {one["data"]["object"]["id"] for one in sent} == {run.id}
    for one in sent:
        Draft202012Validator(SCHEMA).validate(one)
    for request in receiver.requests:
        assert is_signed(request.body, request.headers[HEADER.lower()], [SECRET])
        assert request.headers["x-correlation-id"] == run.id


def test_a_failed_delivery_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_FIRST_PAUSE", 0.1)
    with ScriptedServer([errors(503, "later"), errors(401, "no"), answer({})]) as receiver:
        with Emulator(speed=0.001, webhook=receiver.url) as emulator:
            emulator.service.create_run("slow", business_id=BUSINESS_ID)
            eventually(lambda: len(receiver.requests) == 3)
            time.sleep(0.5)
        assert len({request.body for request in receiver.requests}) == 1
        assert len(receiver.requests) == 3
