# SPDX-License-Identifier: Apache-2.0
"""The event that the trigger fires, failures that end a wait, and the trigger's serialized form."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.sdk.module_loading import import_string

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.models import RunStatus
from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.support import BUSINESS
from tests.support.airflow_names import deserialize, serialize
from tests.support.scripted_server import Serve, answer, errors
from tests.triggers.waiting import ENV, event_of, until

NO_RUN = "00000000-0000-4000-8000-000000000000"
RUNNING = answer({"id": "r-1", "status": "running"})
COMPLETED = answer({"id": "r-1", "status": "completed"})


async def test_the_event_holds_the_run_id_and_the_status(agent_runs_emulator: Emulator) -> None:
    statuses = {"instant": "completed", "needs_approval": "interrupted", "fails": "error"}
    for agent, status in statuses.items():
        run = agent_runs_emulator.service.create_run(agent, business_id=BUSINESS)
        event = await event_of(AgentRunTrigger(run.id, poll_interval=0.1))
        # Nothing else, because Airflow stores the event in its database.
        assert event == {"run_id": run.id, "status": status}
        assert type(event["status"]) is str


async def test_a_run_that_may_still_appear_does_not_end_the_wait(serve: Serve) -> None:
    unknown = errors(404, "There is no run r-1")
    server = serve([unknown, unknown, RUNNING, COMPLETED])
    trigger = AgentRunTrigger("r-1", poll_interval=0, missing_until=time.time() + 60)
    assert await event_of(trigger) == {"run_id": "r-1", "status": "completed"}
    assert server.unused == 0


async def test_a_run_that_does_not_appear_in_time_ends_the_wait(agent_runs_emulator: Emulator) -> None:
    until = time.time() + 0.5
    event = await event_of(AgentRunTrigger(NO_RUN, poll_interval=0.1, missing_until=until))
    assert event["error"] == "AgentRunNotFoundError"
    assert time.time() >= until
    assert len(agent_runs_emulator.requests) > 1


async def test_a_wrong_connection_ends_the_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENV, "agentruns://@api.middesk.com")
    event = await event_of(AgentRunTrigger("r-1"), within=5)
    assert event["error"] == "AgentRunsConfigError"
    assert "API token (password) is missing" in event["message"]


async def test_a_connection_that_is_unavailable_for_a_moment_does_not_end_the_wait(
    agent_runs_emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    airflow_home: Path,
) -> None:
    run = agent_runs_emulator.service.create_run("instant", business_id=BUSINESS)
    monkeypatch.delenv(ENV)
    waiting = asyncio.create_task(event_of(AgentRunTrigger(run.id, poll_interval=0)))
    said = f"Cannot read agent run {run.id}, retrying: Airflow has no connection 'agentruns_default'"
    await until(lambda: said in capfd.readouterr().out)
    monkeypatch.setenv(ENV, agent_runs_emulator.connection_uri)
    assert await waiting == {"run_id": run.id, "status": "completed"}


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
def test_a_trigger_is_restored_from_json(arguments: dict[str, Any]) -> None:
    trigger = AgentRunTrigger("r-1", **arguments)
    path, kwargs = trigger.serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert kwargs.keys() == set(inspect.signature(AgentRunTrigger.__init__).parameters) - {"self", "unknown"}
    assert all(type(status) is str for status in kwargs["wait_for"])
    again = import_string(path)(**deserialize(serialize(kwargs)))
    assert type(again) is AgentRunTrigger
    assert again.serialize() == (path, kwargs)
    assert kwargs["end_time"] in (None, 1.5, datetime(2030, 1, 1, tzinfo=UTC).timestamp())
