# SPDX-License-Identifier: Apache-2.0
"""Which failures end a wait in the triggerer, and which do not."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.hooks.connections import connection_json
from tests.support.scripted_server import (
    LOST,
    RESET_BEFORE,
    Received,
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


async def test_an_unknown_run_ends_the_wait_at_once(agent_runs_emulator: Emulator) -> None:
    event = await event_of(AgentRunTrigger(NO_RUN))
    assert (event["run_id"], event["error"]) == (NO_RUN, "AgentRunNotFoundError")
    assert f"404: There is no run {NO_RUN}" in event["message"]
    assert len(agent_runs_emulator.requests) == 1


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


class Rotating:
    """Accepts one token at a time, and changes Airflow's connection when a token is rejected."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, reads_with_each: int) -> None:
        self.rejected: list[str] = []
        self.url = ""
        self._monkeypatch = monkeypatch
        self._reads_with_each = reads_with_each
        self._reads = 0

    def connect(self, token: str) -> None:
        """Put a token into Airflow's connection."""
        self._monkeypatch.setenv(ENV, connection_json(self.url, token=token))

    def __call__(self, request: Received) -> Reply:
        number, done = divmod(self._reads, self._reads_with_each)
        token = request.headers["authorization"].removeprefix("Bearer ")
        if token != f"token-{number}":
            self.rejected.append(token)
            self.connect(f"token-{number}")
            return errors(401, "unknown token")
        self._reads += 1
        return COMPLETED if (number, done) == (2, self._reads_with_each - 1) else RUNNING


async def test_a_rotated_token_is_picked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    rotating = Rotating(monkeypatch, reads_with_each=2)
    with ScriptedServer(rotating) as server:
        rotating.url = server.url
        rotating.connect("token-0")
        assert await event_of(AgentRunTrigger("r-1", poll_interval=0)) == {"run_id": "r-1", "status": "completed"}
    assert rotating.rejected == ["token-0", "token-1"]


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
    [errors(500, "Down"), errors(503, "Down"), LOST, RESET_BEFORE, html(), answer({"status": None}), answer([])],
    ids=["500", "503", "lost answer", "lost request", "page", "no status", "no run"],
)
async def test_a_failed_read_is_repeated(monkeypatch: pytest.MonkeyPatch, failure: Reply) -> None:
    with ScriptedServer([failure, RUNNING, failure, COMPLETED]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        assert await event_of(AgentRunTrigger("r-1", poll_interval=0)) == {"run_id": "r-1", "status": "completed"}
        assert server.unused == 0


async def test_a_429_blocks_requests_for_as_long_as_the_service_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer([errors(429, "Too many", Retry_After="1"), COMPLETED]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        assert await event_of(AgentRunTrigger("r-1", poll_interval=0)) == {"run_id": "r-1", "status": "completed"}
        first, second = server.requests
    assert second.at - first.at >= 1


async def test_a_service_that_stays_down_is_polled_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(lambda request: errors(503, "Down")) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        event = await event_of(AgentRunTrigger("r-1", poll_interval=0, end_time=time.time() + 2))
        moments = [request.at for request in server.requests]
    assert event["error"] == "AgentRunTimeoutError"
    assert "agent run r-1 is of unknown status at the end of the wait" in event["message"]
    pauses = [later - earlier for earlier, later in itertools.pairwise(moments)]
    # The end of the wait cuts the last pause short.
    assert len(pauses) == 5
    for number, pause in enumerate(pauses[:4]):
        assert pause >= 0.1 * 2**number


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
