# SPDX-License-Identifier: Apache-2.0
"""Which failures end a wait in the triggerer, and which do not."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.hooks.connections import connection_json
from tests.support.scripted_server import (
    LOST,
    Reply,
    ScriptedServer,
    answer,
    errors,
    html,
)
from tests.triggers.waiting import BUSINESS, ENV, event_of, until

NO_RUN = "00000000-0000-4000-8000-000000000000"
RUNNING = answer({"id": "r-1", "status": "running"})
COMPLETED = answer({"id": "r-1", "status": "completed"})


async def test_a_run_that_may_still_appear_does_not_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = errors(404, "There is no run r-1")
    with ScriptedServer([unknown, unknown, RUNNING, COMPLETED]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        trigger = AgentRunTrigger("r-1", poll_interval=0, missing_until=time.time() + 60)
        assert await event_of(trigger) == {"run_id": "r-1", "status": "completed"}
        assert server.unused == 0


async def test_a_run_that_does_not_appear_in_time_ends_the_wait(agent_runs_emulator: Emulator) -> None:
    until = time.time() + 0.5
    event = await event_of(AgentRunTrigger(NO_RUN, poll_interval=0.1, missing_until=until))
    assert event["error"] == "AgentRunNotFoundError"
    assert time.time() >= until
    assert len(agent_runs_emulator.requests) > 1


@pytest.mark.agent_runs(token="mk_test_new")
async def test_a_wrong_token_ends_the_wait_after_the_connection_was_reloaded(
    agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENV, connection_json(agent_runs_emulator.url, token="mk_test_old"))
    event = await event_of(AgentRunTrigger(NO_RUN))
    assert (event["run_id"], event["error"]) == (NO_RUN, "AgentRunsAuthError")
    assert "returned 401: A valid token is needed" in event["message"]
    assert "mk_test_" not in event["message"].replace("mk_test tokens", "")
    assert [request.status for request in agent_runs_emulator.requests] == [401, 401]


@pytest.mark.parametrize(
    "failure",
    [errors(503, "Down"), LOST, html(), answer({"status": None})],
    ids=["503", "lost", "page", "no status"],
)
async def test_a_failed_read_is_repeated(monkeypatch: pytest.MonkeyPatch, failure: Reply) -> None:
    with ScriptedServer([failure, RUNNING, failure, COMPLETED]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        assert await event_of(AgentRunTrigger("r-1", poll_interval=0)) == {"run_id": "r-1", "status": "completed"}
        assert server.unused == 0


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
