# SPDX-License-Identifier: Apache-2.0
"""The event that the trigger fires, and its serialized form."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from datetime import UTC, datetime
from typing import Any

import pendulum
import pytest
from airflow.sdk.module_loading import import_string

from airflow_provider_agentruns import models
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.models import RunStatus
from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.hooks.connections import connection_json
from tests.support.airflow_names import deserialize, serialize
from tests.support.scripted_server import ScriptedServer, answer
from tests.triggers.waiting import BUSINESS, ENV, event_of, until


async def test_the_event_holds_the_run_id_and_the_status(agent_runs_emulator: Emulator) -> None:
    statuses = {"instant": "completed", "needs_approval": "interrupted", "fails": "error"}
    for agent, status in statuses.items():
        run = agent_runs_emulator.service.create_run(agent, business_id=BUSINESS)
        event = await event_of(AgentRunTrigger(run.id, poll_interval=0.1))
        # Nothing else, because Airflow stores the event in its database.
        assert event == {"run_id": run.id, "status": status}
        assert type(event["status"]) is str


async def test_an_interrupt_that_is_not_awaited_does_not_end_the_wait(agent_runs_emulator: Emulator) -> None:
    service = agent_runs_emulator.service
    run = service.create_run("needs_approval", business_id=BUSINESS)
    waiting = asyncio.create_task(event_of(AgentRunTrigger(run.id, wait_for=["completed"], poll_interval=0.1)))
    await until(lambda: agent_runs_emulator.count("GET", f"/v1/runs/{run.id}") >= 3)
    assert (service.runs[run.id].status, waiting.done()) == ("interrupted", False)
    service.answer(run.id, run.interrupts[0]["id"], "approve")
    assert await waiting == {"run_id": run.id, "status": "completed"}


async def test_an_unknown_status_does_not_end_the_wait(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(models, "_warned_of", set())
    runs = [answer({"id": "r-1", "status": status}) for status in ("pondering", "pondering", "completed")]
    with ScriptedServer(runs) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        assert await event_of(AgentRunTrigger("r-1", poll_interval=0)) == {"run_id": "r-1", "status": "completed"}
        assert len(server.requests) == 3
    assert caplog.text.count("unknown run status 'pondering'") == 1


class TestEndTime:
    """``end_time`` is a point in time, so that it survives a restart of the triggerer."""

    async def test_it_ends_the_wait(self, agent_runs_emulator: Emulator) -> None:
        run = agent_runs_emulator.service.create_run("needs_approval", business_id=BUSINESS)
        moment = time.time() + 0.4
        event = await event_of(AgentRunTrigger(run.id, wait_for=["completed"], poll_interval=30, end_time=moment))
        assert 0 <= time.time() - moment < 2
        message = f"agent run {run.id} is interrupted at the end of the wait"
        assert event == {"run_id": run.id, "error": "AgentRunTimeoutError", "message": message}

    @pytest.mark.parametrize(("agent", "ends_as"), [("instant", "status"), ("slow", "error")])
    async def test_the_run_is_read_once_after_it_has_passed(
        self, agent_runs_emulator: Emulator, agent: str, ends_as: str
    ) -> None:
        run = agent_runs_emulator.service.create_run(agent, business_id=BUSINESS)
        event = await event_of(AgentRunTrigger(run.id, end_time=time.time() - 60))
        assert event[ends_as] == {"status": "completed", "error": "AgentRunTimeoutError"}[ends_as]
        assert agent_runs_emulator.count("GET", f"/v1/runs/{run.id}") == 1


class TestSerialized:
    """Airflow stores a trigger as JSON, and creates it again in another process."""

    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"agentruns_conn_id": "mine", "wait_for": ("completed",), "poll_interval": 7, "end_time": 1.5},
            {"wait_for": [RunStatus.ERROR], "end_time": datetime(2030, 1, 1, tzinfo=UTC), "missing_until": 2.5},
            {"end_time": pendulum.datetime(2030, 1, 1), "watch": "stream"},
        ],
        ids=["defaults", "plain", "datetime", "pendulum"],
    )
    def test_it_is_restored(self, arguments: dict[str, Any]) -> None:
        trigger = AgentRunTrigger("r-1", **arguments)
        path, kwargs = trigger.serialize()
        assert json.loads(json.dumps(kwargs)) == kwargs
        assert kwargs.keys() == set(inspect.signature(AgentRunTrigger.__init__).parameters) - {"self", "unknown"}
        assert all(type(status) is str for status in kwargs["wait_for"])
        again = import_string(path)(**deserialize(serialize(kwargs)))
        assert type(again) is AgentRunTrigger
        assert again.serialize() == (path, kwargs)
        assert kwargs["end_time"] in (None, 1.5, datetime(2030, 1, 1, tzinfo=UTC).timestamp())
