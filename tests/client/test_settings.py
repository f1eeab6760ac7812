# SPDX-License-Identifier: Apache-2.0
"""An Airflow connection's parts become settings, whichever form they come from, or an error that helps."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from airflow_provider_agentruns.client.requests import DEFAULT_RESUME_BODY
from airflow_provider_agentruns.client.settings import Settings
from airflow_provider_agentruns.client.transport import Transport
from airflow_provider_agentruns.exceptions import AgentRunsConfigError, AgentRunsError
from tests.client.calling import TOKEN

RESUME_BODY = {"id": "{interrupt_id}", "resume": ["{input}"]}


def from_extra(**extra: Any) -> Settings:
    """Return the settings of a connection with this extra, and all else as usual."""
    return Settings.from_parts(password=TOKEN, extra=extra)


def test_a_connection_with_nothing_but_a_token_is_enough() -> None:
    settings = Settings.from_parts(password=TOKEN)
    assert settings.token.get_secret_value() == TOKEN
    assert (settings.base_url, settings.timeout, settings.rate_limit) == ("https://api.middesk.com", 30.0, 20.0)
    assert (settings.max_retries, settings.verify, settings.proxy) == (5, True, None)
    assert (settings.run_url, settings.allow_http) == (None, False)
    assert settings.resume_body == DEFAULT_RESUME_BODY
    assert settings.webhook_secret == ()


def test_values_mean_the_same_as_json_and_as_the_text_of_a_form_or_uri(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    as_json = {
        "timeout": 7.5,
        "rate_limit": 3,
        "max_retries": 0,
        "verify": False,
        "allow_http": True,
        "proxy": "http://proxy.example.com:3128",
        "run_url": "https://runs.example.com/{run_id}",
        "resume_body": RESUME_BODY,
        "webhook_secret": ["the-old-secret", "the-new-secret"],
    }
    as_text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in as_json.items()}
    assert as_text["verify"] == "false"
    assert from_extra(**as_text) == from_extra(**as_json)
    assert from_extra(**as_json).max_retries == 0
    assert from_extra(verify=str(bundle)).verify == str(bundle)


@pytest.mark.parametrize("empty", ["", None])
def test_what_the_form_leaves_empty_is_as_if_not_given(empty: str | None) -> None:
    fields = ["timeout", "rate_limit", "max_retries", "verify", "allow_http", "proxy", "run_url", "resume_body"]
    fields += ["webhook_secret"]
    assert from_extra(**dict.fromkeys(fields, empty)) == from_extra()


@pytest.mark.parametrize(
    ("value", "meant"), [(True, True), (False, False), ("true", True), ("False", False), (" TRUE ", True), (1, True)]
)
def test_verify_is_read_in_each_spelling(value: Any, meant: bool) -> None:
    assert from_extra(verify=value).verify is meant


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"timeout": 0}, "timeout (extra) "),
        ({"timeout": "soon"}, "timeout (extra) "),
        ({"timeout": "nan"}, "timeout (extra) "),
        ({"timeout": 3601}, "timeout (extra) "),
        ({"rate_limit": 0}, "rate_limit (extra) "),
        ({"rate_limit": -1}, "rate_limit (extra) "),
        ({"rate_limit": "inf"}, "rate_limit (extra) "),
        ({"max_retries": -1}, "max_retries (extra) "),
        ({"max_retries": "2.5"}, "max_retries (extra) "),
        ({"max_retries": 51}, "max_retries (extra) "),
        ({"verify": "/no/such/bundle.pem"}, "verify (extra) should be true, false, or the path of a CA bundle"),
        ({"verify": "/"}, "verify (extra) should be true, false, or the path of a CA bundle"),
        ({"allow_http": "perhaps"}, "allow_http (extra) "),
        ({"proxy": "proxy.example.com:3128"}, "proxy (extra) should be a URL"),
        ({"proxy": "ftp://proxy.example.com"}, "proxy (extra) should be a URL"),
        ({"proxy": "http://"}, "proxy (extra) should be a URL"),
        ({"proxy": "http://proxy:port"}, "proxy (extra) should be a URL"),
        ({"proxy": "http://[::1"}, "proxy (extra) should be a URL"),
        ({"run_url": "https://runs.example.com/"}, "run_url (extra) should be an http or https URL that contains"),
        ({"run_url": "javascript:alert('{run_id}')"}, "run_url (extra) should be an http or https URL"),
        ({"run_url": "http://[{run_id}"}, "run_url (extra) should be an http or https URL"),
        ({"run_url": 5}, "run_url (extra) "),
        ({"resume_body": "{"}, "resume_body (extra) should be a JSON object"),
        ({"resume_body": '["{interrupt_id}", "{input}"]'}, "resume_body (extra) should be a JSON object that contains"),
        ({"resume_body": {"input": "{input}"}}, "resume_body (extra) should be a JSON object that contains"),
        ({"resume_body": {"id": "{interrupt_id}"}}, "resume_body (extra) should be a JSON object that contains"),
        ({"webhook_secret": "short"}, "webhook_secret (extra) should be a secret of at least 8 characters"),
        ({"webhook_secret": ["long-enough", "short"]}, "webhook_secret (extra) should be a secret of at least"),
        ({"webhook_secret": "[long-enough"}, "webhook_secret (extra) should be a secret of at least"),
        ({"webhook_secret": 12345678}, "webhook_secret (extra) should be a secret of at least"),
        ({"webhook_secret": {"a": "long-enough"}}, "webhook_secret (extra) should be a secret of at least"),
        ({"webhook_secret": ["long-enough", None]}, "webhook_secret (extra) should be a secret of at least"),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(extra: dict[str, Any], said: str) -> None:
    with pytest.raises(AgentRunsConfigError) as caught:
        from_extra(**extra)
    assert f"the connection cannot be used: {said}" in str(caught.value)
    assert isinstance(caught.value, AgentRunsError)
    assert not caught.value.retryable


def test_all_that_is_wrong_is_said_at_once_under_the_connections_name() -> None:
    with pytest.raises(AgentRunsConfigError) as caught:
        Settings.from_parts(host="ftp://x", extra={"timeout": -1}, name="connection 'runs'")
    assert str(caught.value).startswith("connection 'runs' cannot be used: ")
    for field in ("Base URL (host)", "API token (password)", "timeout (extra)"):
        assert field in str(caught.value)


@pytest.mark.parametrize("password", [None, "", "  \n"])
def test_a_missing_token_is_said_to_be_missing(password: str | None) -> None:
    with pytest.raises(AgentRunsConfigError, match=r"API token \(password\) is missing. Put the API token into"):
        Settings.from_parts(password=password)


@pytest.mark.parametrize("password", ["two\nlines", "two\r\nlines", "two words", "tökën", "null\x00byte"])
def test_a_token_with_odd_characters_is_refused_and_not_shown(password: str) -> None:
    with pytest.raises(AgentRunsConfigError, match="perhaps a line break from copying") as caught:
        Settings.from_parts(password=password)
    assert password not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_line_break_that_copying_leaves_at_the_end_of_a_token_does_not_matter() -> None:
    assert Settings.from_parts(password=f" {TOKEN}\n").token.get_secret_value() == TOKEN


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        ("one-secret", ["one-secret"]),
        ("  one-secret\n", ["one-secret"]),
        ("the-old-secret the-new-secret", ["the-old-secret", "the-new-secret"]),
        (["the-old-secret", " the-new-secret "], ["the-old-secret", "the-new-secret"]),
        ('["the-old-secret", "the-new-secret"]', ["the-old-secret", "the-new-secret"]),
        ([], []),
    ],
)
def test_there_may_be_several_webhook_secrets(value: Any, secrets: list[str]) -> None:
    assert [secret.get_secret_value() for secret in from_extra(webhook_secret=value).webhook_secret] == secrets


def test_a_webhook_secret_is_in_no_text_form_of_the_settings() -> None:
    settings = from_extra(webhook_secret=["the-old-secret", "the-new-secret"])
    for text in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert "-secret" not in text
    with pytest.raises(AgentRunsConfigError) as caught:
        from_extra(webhook_secret=["the-old-secret", "5ecret"])
    assert "old" not in str(caught.value)
    assert "5ecret" not in str(caught.value)


def test_the_token_is_in_no_text_form_of_the_settings() -> None:
    settings = from_extra(proxy=f"http://user:{TOKEN}@proxy.example.com")
    for text in (repr(settings), str(settings), settings.model_dump_json(exclude={"proxy"}), settings.account):
        assert TOKEN not in text


@pytest.mark.parametrize(
    "parts",
    [
        {"host": f"https://{TOKEN}@api.example.com"},
        {"host": f"https://api.example.com?token={TOKEN}"},
        {"host": f"ftp://{TOKEN}"},
        {"extra": {"proxy": f"{TOKEN}@proxy"}},
        {"extra": {"proxy": f"http://user:{TOKEN}@proxy:port"}},
        {"extra": {"timeout": TOKEN}},
        {"extra": {"resume_body": TOKEN}},
    ],
)
def test_the_token_is_in_no_error_even_where_it_was_put_into_the_wrong_field(parts: dict[str, Any]) -> None:
    with pytest.raises(AgentRunsConfigError) as caught:
        Settings.from_parts(password=TOKEN, **parts)
    assert TOKEN not in str(caught.value)
    assert TOKEN not in repr(caught.value)


def test_unknown_extra_fields_are_warned_about_and_nothing_worse(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings.from_parts(password=TOKEN, extra={"timeuot": 5, "__extra__": "x", "retries": None}, name="c")
    assert settings == from_extra()
    assert caplog.messages == ["c has unknown extra fields: __extra__, timeuot"]


def test_known_extra_fields_are_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        from_extra(timeout=5, verify=True)
    assert not caplog.records


def test_a_token_cannot_come_in_through_the_extra() -> None:
    with pytest.raises(AgentRunsConfigError, match="is missing"):
        Settings.from_parts(extra={"token": TOKEN, "base_url": "https://other.example.com"})
    assert from_extra(base_url="https://other.example.com").base_url == "https://api.middesk.com"


def test_accounts_differ_by_token_and_by_base_url() -> None:
    accounts = {
        Settings.from_parts(password=password, host=host).account
        for password in ("one", "two")
        for host in (None, "https://api-sandbox.middesk.com")
    }
    assert len(accounts) == 4
    assert Settings.from_parts(password="one").account == Settings.from_parts(password="one").account


def test_a_run_page_holds_the_id_percent_encoded() -> None:
    settings = from_extra(run_url="https://runs.example.com/{run_id}?again={run_id}")
    assert settings.run_page("a/b c") == "https://runs.example.com/a%2Fb%20c?again=a%2Fb%20c"
    assert from_extra().run_page("r") == ""


def test_a_bundle_without_certificates_is_a_wrong_setting(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("no certificate")
    with pytest.raises(AgentRunsConfigError, match="no CA certificates can be read from"):
        Transport(from_extra(verify=str(bundle)))


def test_settings_cannot_be_changed_once_they_are_checked() -> None:
    with pytest.raises(ValidationError):
        from_extra().timeout = -1.0  # type: ignore[misc]


@pytest.mark.parametrize("proxy", ["http://proxy:3128", "https://user:secret@proxy", "http://[::1]:3128"])
def test_what_passes_as_a_proxy_the_http_client_takes(proxy: str) -> None:
    Transport(from_extra(proxy=proxy)).close()
