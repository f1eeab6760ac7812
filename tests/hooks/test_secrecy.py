# SPDX-License-Identifier: Apache-2.0
"""The token goes to the service only, and Airflow masks all secrets of a connection in logs."""

from __future__ import annotations

import logging
import traceback

import pytest
from airflow.sdk.log import redact

from airflow_provider_agentruns.client import connection_settings
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import AgentRunsConfigError, AgentRunsError
from tests.hooks.conftest import HookUser
from tests.hooks.connections import TOKEN, connection_json
from tests.support.scripted_server import LOST, ScriptedServer, Serve, answer, errors, redirect, sent

ENV = "AIRFLOW_CONN_AGENTRUNS_DEFAULT"

REPLIES = {
    "a message that repeats it": errors(422, f"Bearer {TOKEN} may not do this"),
    "a redirect that repeats it": redirect(f"https://elsewhere.example/?token={TOKEN}"),
    "a content type that repeats it": sent(b"?", f"text/{TOKEN}"),
    "an encoding that repeats it": sent(b"?", "application/json", Content_Encoding=TOKEN),
    "no response": LOST,
}


@pytest.mark.parametrize("reply", REPLIES)
def test_no_error_contains_the_token(
    user: HookUser, serve: Serve, caplog: pytest.LogCaptureFixture, reply: str
) -> None:
    # At DEBUG, httpcore logs the headers of responses.
    caplog.set_level(logging.INFO)
    server = serve([REPLIES[reply]])
    with pytest.raises(AgentRunsError) as caught:
        user.call("list_agents")
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    error = caught.value
    for text in (str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))):
        assert TOKEN not in text
    assert TOKEN not in caplog.text


def test_no_log_of_a_request_contains_the_token(
    agent_runs_emulator: Emulator, user: HookUser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # Airflow sets this logger to WARNING when it configures logging.
    caplog.set_level(logging.DEBUG, "httpx")
    monkeypatch.setenv(ENV, connection_json(agent_runs_emulator.url))
    user.call("list_agents")
    assert "/v1/agents" in caplog.text
    assert TOKEN not in caplog.text


def test_airflow_masks_each_secret_in_each_form(user: HookUser, monkeypatch: pytest.MonkeyPatch) -> None:
    token, decoded, encoded = f"mk_test_masked_{user.kind}", f"p@ss/{user.kind}", f"p%40ss%2F{user.kind}"
    webhooks = [f"whsec-first-{user.kind}", f"whsec-second-{user.kind}"]
    extra = {"proxy": f"http://me:{encoded}@proxy.example.com", "webhook_secret": " ".join(webhooks)}
    extra["rate_limit_store"] = f"redis://:store-{encoded}@redis.example.com"
    monkeypatch.setenv(ENV, connection_json("https://api.middesk.com", token=token, **extra))
    user.transport()
    for secret in (token, decoded, encoded, f"p%40ss/{user.kind}", f"store-{decoded}", *webhooks):
        assert redact(f"before {secret} after") == "before *** after"


def test_a_connection_of_another_type_is_rejected(user: HookUser, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer() as server:
        monkeypatch.setenv(ENV, connection_json(server.url).replace('"agentruns"', '"postgres"'))
        message = "'agentruns_default' is of type 'postgres'; it should be of type 'agentruns'"
        with pytest.raises(AgentRunsConfigError, match=message):
            list(user.iterate("stream_run", "r-1"))
        with pytest.raises(AgentRunsConfigError, match=message) as caught:
            user.call("list_agents")
    assert not server.requests
    assert not caught.value.retryable
    assert TOKEN not in str(caught.value)


def test_insecure_settings_are_warned_about_once_per_connection(
    user: HookUser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connection_settings._warn_once.cache_clear()
    monkeypatch.setenv(ENV, connection_json("http://runs.internal.example", allow_http=True, verify=False))
    for _ in range(3):
        user.transport()
        user.close()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len([text for text in warnings if "'agentruns_default' does not verify TLS certificates" in text]) == 1
    assert len([text for text in warnings if "'agentruns_default' sends the token in clear text" in text]) == 1


def test_an_error_of_the_service_stays_on_one_line(user: HookUser, serve: Serve) -> None:
    agents = [{"id": "a", "type": "evil\n\x1b[31m" + "x" * 50_000}]
    serve([answer({"data": agents})])
    accepted, message = user.hook.test_connection()
    assert accepted
    assert message.isprintable()
    assert len(message) < 3000
