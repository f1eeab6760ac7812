# SPDX-License-Identifier: Apache-2.0
"""The Airflow connection: its forms, errors in it, and when it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.models.connection import Connection
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import AgentRunsAuthError, AgentRunsConfigError
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from tests.hooks.conftest import HookUser
from tests.hooks.connections import TOKEN, connection_json

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


@pytest.mark.agent_runs(token="mk_test_new")
def test_a_changed_connection_is_read_after_closing(
    agent_runs_emulator: Emulator, user: HookUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENV, connection_json(agent_runs_emulator.url, token="mk_test_old"))
    with pytest.raises(AgentRunsAuthError):
        user.call("list_agents")
    monkeypatch.setenv(ENV, connection_json(agent_runs_emulator.url, token="mk_test_new"))
    with pytest.raises(AgentRunsAuthError):
        user.call("list_agents")
    user.close()
    assert user.call("list_agents")


class TestTestButton:
    """Airflow's Test button."""

    @pytest.mark.agent_runs(token="mk_test_right")
    def test_wrong_token(self, agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(ENV, connection_json(agent_runs_emulator.url))
        good, message = AgentRunHook().test_connection()
        assert not good
        assert "GET /v1/agents returned 401" in message
        assert TOKEN not in message

    def test_airflow_finds_the_hook_by_the_connections_type(
        self, agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = Connection(conn_id="form", uri=agent_runs_emulator.connection_uri)
        # Airflow's API does this first.
        monkeypatch.setenv("AIRFLOW_CONN_FORM", connection.get_uri())
        good, message = connection.test_connection()
        assert good, message
        assert agent_runs_emulator.count("GET", "/v1/agents") == 1
