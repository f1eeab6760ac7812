# SPDX-License-Identifier: Apache-2.0
"""The Airflow connection: its forms, errors in it, and when it is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.models.connection import Connection
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import AgentRunsAuthError, AgentRunsConfigError
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from tests.hooks.conftest import HookUser
from tests.hooks.connections import TOKEN, connection_json, open_sockets
from tests.support.scripted_server import Received, Reply, ScriptedServer, Serve, answer, errors, events, unused_port

ENV = "AIRFLOW_CONN_AGENTRUNS_DEFAULT"

FORMS: dict[str, Callable[[Emulator], str]] = {
    "uri": lambda emulator: f"agentruns://:{TOKEN}@127.0.0.1:{emulator.port}/http?timeout=3",
    "uri of the emulator": lambda emulator: emulator.connection_uri,
    "json with the version in the url": lambda emulator: connection_json(f"{emulator.url}/v1/"),
}


@pytest.mark.agent_runs(token=TOKEN)
@pytest.mark.parametrize("form", FORMS)
def test_a_connection_works_in_each_form(
    agent_runs_emulator: Emulator, user: HookUser, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv(ENV, FORMS[form](agent_runs_emulator))
    assert user.call("list_agents")
    assert user.transport().settings.base_url == agent_runs_emulator.url


def test_a_connection_that_cannot_work(user: HookUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENV, connection_json("https://api.middesk.com", timeout="soon"))
    with pytest.raises(
        AgentRunsConfigError, match=r"'agentruns_default' cannot be used: timeout \(extra\) .*valid number"
    ) as caught:
        user.call("list_agents")
    assert isinstance(caught.value, AirflowFailException)
    assert TOKEN not in str(caught.value)


def test_a_missing_connection_says_what_to_do(user: HookUser, airflow_home: Path) -> None:
    with pytest.raises(AgentRunsConfigError) as caught:
        user.call("get_run", "r-1")
    assert str(caught.value) == (
        "Airflow has no connection 'agentruns_default'. Add one of type Agent runs under Admin, Connections, or set "
        "AIRFLOW_CONN_AGENTRUNS_DEFAULT, e.g. to agentruns://:TOKEN@HOST"
    )
    # A secrets backend that is briefly unavailable looks the same, and another try may help.
    assert not isinstance(caught.value, AirflowFailException)


def rejecting(serve: Serve, monkeypatch: pytest.MonkeyPatch, new_token: str, status: int = 401) -> ScriptedServer:
    """Return a service that accepts one token. When it rejects another one, the connection is edited."""

    def respond(request: Received) -> Reply:
        if request.headers["authorization"] == "Bearer mk_test_new":
            if request.path.endswith("/stream"):
                return events('data: {"type": "RUN_STARTED"}')
            return answer({"id": "r-1", "status": "running", "data": []})
        monkeypatch.setenv(ENV, connection_json(f"http://{request.headers['host']}", token=new_token))
        return errors(status, "no")

    return serve(respond, token="mk_test_old")


CALLS: dict[str, Callable[[HookUser], object]] = {
    "list_agents": lambda user: user.call("list_agents"),
    "list_runs": lambda user: list(user.iterate("list_runs")),
    "stream_run": lambda user: list(user.iterate("stream_run", "r-1")),
    "create_run": lambda user: user.call("create_run", "instant", business_id="b-1"),
    "resume_run": lambda user: user.call("resume_run", "r-1", "i-1", "yes"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_rejected_request_is_repeated_with_the_edited_connection(
    user: HookUser, serve: Serve, monkeypatch: pytest.MonkeyPatch, call: Callable[[HookUser], object]
) -> None:
    server = rejecting(serve, monkeypatch, "mk_test_new")
    call(user)
    first, second = server.requests
    assert (first.method, first.target, first.body) == (second.method, second.target, second.body)
    user.close()
    assert open_sockets(server.port) == 0


@pytest.mark.parametrize(
    ("new_token", "status", "sent"), [("mk_test_old", 401, 1), ("mk_test_wrong", 401, 2), ("mk_test_new", 403, 1)]
)
def test_a_rejected_request_is_repeated_once_if_the_connection_was_edited(
    user: HookUser, serve: Serve, monkeypatch: pytest.MonkeyPatch, new_token: str, status: int, sent: int
) -> None:
    server = rejecting(serve, monkeypatch, new_token, status)
    with pytest.raises(AgentRunsAuthError) as caught:
        user.call("resume_run", "r-1", "i-1", "yes")
    assert len(server.requests) == sent
    assert open_sockets(server.port) <= sent
    assert isinstance(caught.value, AirflowFailException)


def test_a_forbidden_request_does_not_read_the_connection_again(
    user: HookUser, serve: Serve, monkeypatch: pytest.MonkeyPatch, airflow_home: Path
) -> None:
    def forbid(_: Received) -> Reply:
        monkeypatch.delenv(ENV)
        return errors(403, "no")

    serve(forbid)
    with pytest.raises(AgentRunsAuthError):
        user.call("get_run", "r-1")


class TestTestButton:
    @pytest.mark.agent_runs(token="mk_test_right")
    def test_wrong_token(self, agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(ENV, connection_json(agent_runs_emulator.url))
        good, message = AgentRunHook().test_connection()
        assert not good
        assert "GET /v1/agents returned 401" in message
        assert TOKEN not in message

    def test_a_429_ends_the_test_at_once(self, serve: Serve) -> None:
        begin = time.monotonic()
        server = serve(lambda _: errors(429, "slow down", Retry_After="60"), max_retries=5)
        assert "GET /v1/agents returned 429: slow down" in AgentRunHook().test_connection()[1]
        assert "rate limit would delay this request" in AgentRunHook().test_connection()[1]
        assert len(server.requests) == 1
        assert time.monotonic() - begin < 10

    def test_a_store_that_cannot_be_reached(
        self, agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = f"redis://:s3cret@127.0.0.1:{unused_port()}"
        monkeypatch.setenv(ENV, connection_json(agent_runs_emulator.url, rate_limit_store=store))
        good, message = AgentRunHook().test_connection()
        assert not good
        assert "accepts the token, but rate_limit_store 127.0.0.1 cannot be used: " in message
        assert "s3cret" not in message

    def test_airflow_finds_the_hook_by_the_connections_type(
        self, agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = Connection(conn_id="form", uri=agent_runs_emulator.connection_uri)
        # Airflow's API does this first.
        monkeypatch.setenv("AIRFLOW_CONN_FORM", connection.get_uri())
        good, message = connection.test_connection()
        assert good, message
        assert agent_runs_emulator.count("GET", "/v1/agents") == 1
