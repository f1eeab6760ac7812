# SPDX-License-Identifier: Apache-2.0
"""The base URL: from host, port and schema as Airflow stores them, and never the token in clear."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_agentruns.client.settings import Settings
from airflow_provider_agentruns.client.transport import Transport
from airflow_provider_agentruns.exceptions import AgentRunsConfigError
from tests.client.calling import TOKEN


def base_url(**parts: Any) -> str:
    """Return the base URL of a connection; the HTTP client has to take it, too."""
    settings = Settings.from_parts(password=TOKEN, **parts)
    Transport(settings).close()
    return settings.base_url


@pytest.mark.parametrize(
    ("parts", "url"),
    [
        ({}, "https://api.middesk.com"),
        ({"host": ""}, "https://api.middesk.com"),
        ({"host": "  ", "port": 8400}, "https://api.middesk.com"),
        ({"host": "api-sandbox.middesk.com"}, "https://api-sandbox.middesk.com"),
        ({"host": "https://api-sandbox.middesk.com"}, "https://api-sandbox.middesk.com"),
        ({"host": " https://api.example.com/ "}, "https://api.example.com"),
        ({"host": "https://api.example.com/v1"}, "https://api.example.com"),
        ({"host": "https://api.example.com/gate/v1/"}, "https://api.example.com/gate"),
        ({"host": "api.example.com", "port": 8443}, "https://api.example.com:8443"),
        ({"host": "https://api.example.com/gate", "port": 8443}, "https://api.example.com:8443/gate"),
        ({"host": "https://api.example.com:444", "port": 8443}, "https://api.example.com:444"),
        ({"host": "api.example.com:444"}, "https://api.example.com:444"),
        ({"host": "api.example.com", "schema": "https"}, "https://api.example.com"),
        ({"host": "https://api.example.com", "schema": "http"}, "https://api.example.com"),
    ],
)
def test_host_port_and_schema_make_the_base_url(parts: dict[str, Any], url: str) -> None:
    assert base_url(**parts) == url


@pytest.mark.parametrize(
    ("parts", "url"),
    [
        ({"host": "http://127.0.0.1:8400"}, "http://127.0.0.1:8400"),
        ({"host": "127.0.0.1", "port": 8400, "schema": "http"}, "http://127.0.0.1:8400"),
        ({"host": "http://127.9.9.9"}, "http://127.9.9.9"),
        ({"host": "http://localhost", "port": 8400}, "http://localhost:8400"),
        ({"host": "http://LOCALHOST:8400"}, "http://LOCALHOST:8400"),
        ({"host": "http://localhost."}, "http://localhost."),
        ({"host": "http://[::1]:8400"}, "http://[::1]:8400"),
        ({"host": "http://[::1]", "port": 8400}, "http://[::1]:8400"),
        # As Airflow hands it on from a URI.
        ({"host": "::1", "port": 8400, "schema": "http"}, "http://[::1]:8400"),
    ],
)
def test_plain_http_is_taken_on_this_machine(parts: dict[str, Any], url: str) -> None:
    assert base_url(**parts) == url


@pytest.mark.parametrize(
    "parts",
    [
        {"host": "http://api.middesk.com"},
        {"host": "api.middesk.com", "schema": "http"},
        {"host": "HTTP://api.middesk.com"},
        {"host": "http://10.0.0.1"},
        {"host": "http://0.0.0.0"},
        {"host": "http://[fe80::1]"},
        {"host": "http://localhost.example.com"},
        {"host": "http://127.0.0.1.example.com"},
        {"host": "http://example.com/127.0.0.1"},
        {"host": "http://emulator:8400", "extra": {"allow_http": "false"}},
    ],
)
def test_plain_http_to_anywhere_else_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(AgentRunsConfigError, match=r"the token would travel in clear.*allow_http"):
        base_url(**parts)


@pytest.mark.parametrize("yes", [True, "true", "True", "1", 1])
def test_plain_http_is_taken_where_the_connection_allows_it(yes: Any) -> None:
    assert base_url(host="http://emulator", port=8400, extra={"allow_http": yes}) == "http://emulator:8400"


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("ftp://api.example.com", "should be a URL such as https://api.middesk.com"),
        ("https://", "should be a URL such as"),
        ("https:///v1", "should be a URL such as"),
        ("https://api.example.com:port", "should be a URL such as"),
        ("https://api.example.com:99999", "should be a URL such as"),
        ("http://[::1", "should be a URL such as"),
        ("http://[::1]example.com", "should be a URL such as"),
        ("https://api.example.com/\x00", "should be a URL such as"),
        ("https://user@api.example.com", "should not contain a user, password, query, or fragment"),
        ("https://user:password@api.example.com", "should not contain a user, password, query, or fragment"),
        ("http://127.0.0.1@api.example.com", "should not contain a user, password, query, or fragment"),
        ("https://api.example.com?a=b", "should not contain a user, password, query, or fragment"),
        ("https://api.example.com#a", "should not contain a user, password, query, or fragment"),
    ],
)
def test_what_is_no_base_url_is_refused(host: str, said: str) -> None:
    with pytest.raises(AgentRunsConfigError) as caught:
        base_url(host=host)
    assert f"Base URL (host) {said}" in str(caught.value)
