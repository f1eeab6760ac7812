# SPDX-License-Identifier: Apache-2.0
"""The parts of an Airflow connection become settings, whichever form they come from, or a helpful error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_agentruns.client.connection_settings import Settings
from airflow_provider_agentruns.client.requests import DEFAULT_RESUME_BODY
from airflow_provider_agentruns.client.transport import Transport
from airflow_provider_agentruns.exceptions import AgentRunsConfigError
from tests.client.calling import TOKEN

ALL_FIELDS: dict[str, Any] = {
    "timeout": 7.5,
    "rate_limit": 3,
    "rate_limit_store": "rediss://:secret@redis.example.com:6380/1?ssl_cert_reqs=none",
    "max_retries": 0,
    "verify": False,
    "allow_http": True,
    "proxy": "http://proxy.example.com:3128",
    "run_url": "https://runs.example.com/{run_id}",
    "resume_body": {"id": "{interrupt_id}", "resume": ["{input}"]},
    "webhook_secret": ["the-old-secret", "the-new-secret"],
}


def from_extra(**extra: Any) -> Settings:
    """Return the settings of a connection with a token and this extra."""
    return Settings.from_parts(password=TOKEN, extra=extra)


def base_url(**parts: Any) -> str:
    """Return the base URL of a connection, which httpx accepts."""
    settings = Settings.from_parts(password=TOKEN, **parts)
    Transport(settings).close()
    return settings.base_url


def test_a_token_is_enough() -> None:
    settings = Settings.from_parts(password=f" {TOKEN}\n")
    assert settings.token.get_secret_value() == TOKEN
    assert (settings.base_url, settings.timeout, settings.rate_limit) == ("https://api.middesk.com", 30.0, 20.0)
    assert (settings.max_retries, settings.verify, settings.allow_http) == (5, True, False)
    assert settings.resume_body == DEFAULT_RESUME_BODY


def test_json_and_the_text_of_a_form_or_uri_mean_the_same(tmp_path: Path) -> None:
    as_text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in ALL_FIELDS.items()}
    as_text["webhook_secret"] = "the-old-secret the-new-secret"
    assert from_extra(**as_text) == from_extra(**ALL_FIELDS)
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    assert from_extra(verify=str(bundle)).verify == str(bundle)
    with pytest.raises(AgentRunsConfigError, match="no CA certificates can be read"):
        Transport(from_extra(verify=str(bundle)))


@pytest.mark.parametrize("empty", ["", None])
def test_empty_fields_of_the_form_count_as_not_set(empty: str | None) -> None:
    assert from_extra(**dict.fromkeys(ALL_FIELDS, empty)) == from_extra()


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({"timeout": "soon"}, "timeout (extra) "),
        ({"rate_limit": -1}, "rate_limit (extra) "),
        ({"rate_limit_store": "unix:///run/redis.sock"}, "rate_limit_store (extra) should be a URL such as redis://:"),
        ({"rate_limit_store": "redis://redis/db"}, "rate_limit_store (extra) should be a URL such as redis://:"),
        (
            {"rate_limit_store": "redis://redis?password=x"},
            "rate_limit_store (extra) should have no query except",
        ),
        ({"verify": "/no/such/bundle.pem"}, "verify (extra) should be true, false, or the path of a CA bundle"),
        ({"proxy": "http://proxy:port"}, "proxy (extra) should be a URL"),
        ({"proxy": "socks5://proxy:1080"}, "proxy (extra) is a SOCKS proxy: install airflow-provider-agentruns[socks]"),
        ({"resume_body": "{"}, "resume_body (extra) should be a JSON object"),
        ({"resume_body": {"input": "{input}"}}, "resume_body (extra) should be a JSON object that contains"),
        ({"webhook_secret": ["long-enough", "short"]}, "webhook_secret (extra) should be a secret of at least"),
    ],
)
def test_a_wrong_field_is_named(extra: dict[str, Any], problem: str) -> None:
    with pytest.raises(AgentRunsConfigError) as caught:
        from_extra(**extra)
    assert f"the connection cannot be used: {problem}" in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "run_url",
    [
        "JavaScript:alert('{run_id}')",
        "//evil.example.com/{run_id}",
        "ht\ntps://runs.example.com/{run_id}",
        "https://{run_id}.example.com/",
        "https:\\\\evil.example.com/{run_id}",
    ],
)
def test_a_run_page_is_on_the_web_and_on_one_host(run_url: str) -> None:
    with pytest.raises(AgentRunsConfigError, match=r"run_url \(extra\) should be an http or https URL"):
        from_extra(run_url=run_url)


@pytest.mark.parametrize("run_id", ["a/../../b", "?x=1#x", "\r\nX: 1", "@evil.example.com", "\u202e"])
@pytest.mark.parametrize("url", ["https://runs.example.com/{run_id}", "http://localhost:8080/?run={run_id}#{run_id}"])
def test_a_run_id_does_not_change_where_a_link_leads(run_id: str, url: str) -> None:
    page, plain = (urlsplit(from_extra(run_url=url).run_page(it)) for it in (run_id, "r-1"))
    assert (page.scheme, page.netloc) == (plain.scheme, plain.netloc)
    assert (page.path.count("/"), page.query.count("=")) == (plain.path.count("/"), plain.query.count("="))
    assert page.geturl().isprintable()
    assert page.geturl().isascii()


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(AgentRunsConfigError) as caught:
        Settings.from_parts(
            host="ftp://x", password=" \n", extra={"timeout": -1, "token": TOKEN}, name="connection 'c'"
        )
    assert str(caught.value).startswith("connection 'c' cannot be used: Base URL (host) ")
    assert "API token (password) is missing. Put the API token into" in str(caught.value)
    assert "timeout (extra) " in str(caught.value)


@pytest.mark.parametrize("password", ["two\nlines", "two words", "tökën", "null\x00byte"])
def test_a_token_with_odd_characters_is_rejected_and_not_shown(password: str) -> None:
    with pytest.raises(AgentRunsConfigError, match="such as a space or a line break") as caught:
        Settings.from_parts(password=password)
    assert password not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_text_form_of_the_settings_contains_a_secret() -> None:
    settings = from_extra(
        proxy="http://user:-secret@proxy.example.com",
        rate_limit_store="redis://:-secret2@redis.example.com",
        webhook_secret="the-old-secret the-new-secret",
    )
    urls = {"proxy", "rate_limit_store"}
    http = Transport(settings)._http
    for text in (f"{settings} {settings!r} {http.headers}", settings.model_dump_json(exclude=urls), settings.account):
        assert "-secret" not in text
        assert TOKEN not in text
    assert settings.redact(f"{TOKEN} the-new-secret the-old-secret -secret2") == "*** *** *** ***"
    local = Settings.from_parts(host="http://127.0.0.1", password=TOKEN, extra={"proxy": "http://user:-secret@proxy"})
    assert local.redact("-secret") == "***"


def test_the_password_of_a_proxy_in_the_environment_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:pass-of-proxy@proxy.example.com")
    assert from_extra().redact("pass-of-proxy") == "***"


@pytest.mark.parametrize(
    "parts",
    [
        {"host": f"https://{TOKEN}@api.example.com"},
        {"extra": {"proxy": f"http://user:{TOKEN}@proxy:port"}},
        {"extra": {"rate_limit_store": f"redis://:{TOKEN}@redis:port"}},
        {"extra": {"rate_limit_store": f"redis://redis?password={TOKEN}"}},
        {"extra": {"timeout": TOKEN}},
        {"extra": {"webhook_secret": [TOKEN, "5ecret"]}},
    ],
)
def test_no_error_contains_the_token_even_if_it_is_in_the_wrong_field(parts: dict[str, Any]) -> None:
    with pytest.raises(AgentRunsConfigError) as caught:
        Settings.from_parts(password=TOKEN, **parts)
    assert TOKEN not in repr(caught.value)
    assert "5ecret" not in repr(caught.value)


def test_unknown_extra_fields_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    extra = {"timeuot": 5, "retries": None, "timeout": 30, "evil\n\x1b[31m": 1, "base_url": "http://x"}
    settings = Settings.from_parts(password=TOKEN, extra=extra, name="c")
    assert settings == from_extra()
    assert caplog.messages == [r"c has unknown extra fields: base_url, evil\n\x1b[31m, timeuot"]


@pytest.mark.parametrize(
    ("parts", "url"),
    [
        ({"host": ""}, "https://api.middesk.com"),
        ({"host": " https://api.example.com/ "}, "https://api.example.com"),
        ({"host": "https://api.example.com/gate/v1/"}, "https://api.example.com/gate"),
        ({"host": "api.example.com", "port": 8443}, "https://api.example.com:8443"),
        ({"host": "https://api.example.com", "port": 0}, "https://api.example.com"),
        ({"host": "https://api.example.com/gate", "port": 8443}, "https://api.example.com:8443/gate"),
        ({"host": "127.0.0.1", "port": 8400, "schema": "http"}, "http://127.0.0.1:8400"),
        ({"host": "http://LOCALHOST:8400"}, "http://LOCALHOST:8400"),
        # The form in which Airflow returns a URI's host.
        ({"host": "::1", "port": 8400, "schema": "http"}, "http://[::1]:8400"),
        ({"host": "http://emulator", "port": 8400, "extra": {"allow_http": "true"}}, "http://emulator:8400"),
    ],
)
def test_host_port_and_schema_form_the_base_url(parts: dict[str, Any], url: str) -> None:
    assert base_url(**parts) == url


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("http://10.0.0.1", "is plain http to 10.0.0.1: the token would travel in clear text. Use https, or set"),
        ("http://127.0.0.1.example.com", "is plain http to 127.0.0.1.example.com"),
        ("ftp://api.example.com", "should be a URL such as https://api.middesk.com"),
        ("https://api.example.com:99999", "should be a URL such as"),
        ("https://api.example.com/\ud800", "should be a URL such as"),
        ("http://127.0.0.1@api.example.com", "should not contain a user, password, query, or fragment"),
        ("https://api.example.com?a=b", "should not contain a user, password, query, or fragment"),
    ],
)
def test_a_wrong_base_url_is_rejected(host: str, problem: str) -> None:
    with pytest.raises(AgentRunsConfigError) as caught:
        base_url(host=host)
    assert f"Base URL (host) {problem}" in str(caught.value)
