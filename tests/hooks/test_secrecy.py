# SPDX-License-Identifier: Apache-2.0
"""The token goes to the service and nowhere else."""

from __future__ import annotations

import logging
import traceback

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import AgentRunsError
from tests.hooks.conftest import HookUser
from tests.hooks.connections import TOKEN, connection_json
from tests.support.scripted_server import LOST, ScriptedServer, errors, html, redirect, sent

ENV = "AIRFLOW_CONN_AGENTRUNS_DEFAULT"

REPLIES = {
    "a message that repeats it": errors(422, f"Bearer {TOKEN} may not do this"),
    "a message that repeats it with 401": errors(401, f"{TOKEN} is unknown"),
    "a redirect that repeats it": redirect(f"https://elsewhere.example/?token={TOKEN}"),
    "a content type that repeats it": sent(b"?", f"text/{TOKEN}"),
    "a page": html(),
    "no answer": LOST,
}


@pytest.mark.parametrize("reply", REPLIES)
def test_no_error_holds_it(
    user: HookUser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reply: str
) -> None:
    # Below INFO, httpcore shows the headers that come; of what is sent it shows none.
    caplog.set_level(logging.INFO)
    with ScriptedServer([REPLIES[reply]]) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        with pytest.raises(AgentRunsError) as caught:
            user.call("list_agents")
        assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    error = caught.value
    for text in (str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))):
        assert TOKEN not in text
    assert TOKEN not in caplog.text


def test_nothing_that_is_logged_of_a_request_holds_it(
    agent_runs_emulator: Emulator, user: HookUser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(ENV, connection_json(agent_runs_emulator.url))
    user.call("list_agents")
    assert "/v1/agents" in caplog.text
    assert TOKEN not in caplog.text


def test_nothing_that_sends_shows_it(user: HookUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENV, connection_json("https://api.middesk.com", proxy="http://me:s3cret@proxy.example.com"))
    transport = user.transport()
    settings = transport.settings
    assert settings.token.get_secret_value() == TOKEN
    shown = [user.hook, transport, transport._http, transport._http.headers, settings, settings.account]
    for thing in [*shown, settings.model_dump(), settings.model_dump_json()]:
        for text in (str(thing), repr(thing)):
            assert TOKEN not in text
    assert "s3cret" not in f"{settings} {settings!r} {transport!r} {user.hook!r}"
