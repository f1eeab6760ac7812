# SPDX-License-Identifier: Apache-2.0
"""The link to a run's page is an http or https link to the host in the connection, or there is no link."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from airflow_provider_agentruns.exceptions import AgentRunsConfigError
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from tests.hooks.connections import connection_json

ENV = "AIRFLOW_CONN_AGENTRUNS_DEFAULT"


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
def test_the_connection_rejects_other_links(monkeypatch: pytest.MonkeyPatch, run_url: str) -> None:
    monkeypatch.setenv(ENV, connection_json("http://127.0.0.1:1", run_url=run_url))
    with pytest.raises(AgentRunsConfigError, match=r"run_url \(extra\) should be an http or https URL"):
        _ = AgentRunHook().settings


@pytest.mark.parametrize("run_id", ["a/../../b", "?x=1#x", "\r\nX: 1", "@evil.example.com", "\u202e"])
def test_an_id_does_not_change_where_a_link_leads(monkeypatch: pytest.MonkeyPatch, run_id: str) -> None:
    for run_url in ("https://runs.example.com/{run_id}", "http://localhost:8080/?run={run_id}#{run_id}"):
        monkeypatch.setenv(ENV, connection_json("http://127.0.0.1:1", run_url=run_url))
        page, plain = (urlsplit(AgentRunHook().settings.run_page(it)) for it in (run_id, "r-1"))
        assert (page.scheme, page.netloc) == (plain.scheme, plain.netloc)
        assert (page.path.count("/"), page.query.count("=")) == (plain.path.count("/"), plain.query.count("="))
        assert page.geturl().isprintable()
        assert page.geturl().isascii()
