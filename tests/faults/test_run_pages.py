# SPDX-License-Identifier: Apache-2.0
"""The link to a run's page is an http or https link to the host that the connection names, or there is none."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from airflow_provider_agentruns.exceptions import AgentRunsConfigError
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from tests.hooks.connections import connection_json
from tests.support.dag_runs import DagRunner
from tests.support.scripted_server import ScriptedServer, answer

ENV = "AIRFLOW_CONN_AGENTRUNS_DEFAULT"

REFUSED = {
    "javascript": "javascript:alert('{run_id}')",
    "javascript, capitals": "JavaScript:alert('{run_id}')",
    "javascript, line break inside": "java\nscript:alert('{run_id}')",
    "javascript, tab inside": "java\tscript:alert('{run_id}')",
    "javascript behind a blank": " javascript:alert('{run_id}')",
    "javascript behind a control character": "\x01javascript:alert('{run_id}')",
    "data": "data:text/html,<script>alert('{run_id}')</script>",
    "vbscript": "vbscript:msgbox('{run_id}')",
    "file": "file:///etc/passwd?{run_id}",
    "protocol-relative": "//evil.example.com/{run_id}",
    "relative": "/runs/{run_id}",
    "nothing but the id": "{run_id}",
    "the id as the scheme": "{run_id}://example.com/",
}


#: Which urlsplit, that takes line breaks out before it looks, lets pass, or in which the id decides where it leads.
ODD = {
    "line break in the scheme": "ht\ntps://runs.example.com/{run_id}",
    "line break in the path": "https://runs.example.com/\n{run_id}",
    "header": "https://runs.example.com/{run_id}\r\nX-Evil: 1",
    "blank before": " https://runs.example.com/{run_id}",
    "no host": "https:///{run_id}",
    "no slashes": "https:{run_id}",
    "the id as the host": "https://{run_id}/",
    "the id in the host": "https://{run_id}.example.com/",
    "the id as the user": "https://{run_id}@runs.example.com/",
    "backslash": "https:\\\\evil.example.com/{run_id}",
}

HOSTILE_IDS = ["..", "a/../../b", "?x=1", "#x", "\r\nX: 1", "@evil.example.com", "javascript:alert(1)", "\u202e", "//e"]


@pytest.mark.parametrize("run_url", [*REFUSED.values(), *ODD.values()], ids=[*REFUSED, *ODD])
def test_what_is_no_link_is_refused_with_the_connection(monkeypatch: pytest.MonkeyPatch, run_url: str) -> None:
    monkeypatch.setenv(ENV, connection_json("http://127.0.0.1:1", run_url=run_url))
    with pytest.raises(AgentRunsConfigError, match=r"run_url \(extra\) should be an http or https URL"):
        _ = AgentRunHook().settings


@pytest.mark.parametrize(
    "run_url", ["https://runs.example.com/{run_id}", "http://localhost:8080/?run={run_id}#{run_id}"]
)
@pytest.mark.parametrize("run_id", HOSTILE_IDS)
def test_no_id_leads_elsewhere(monkeypatch: pytest.MonkeyPatch, run_url: str, run_id: str) -> None:
    monkeypatch.setenv(ENV, connection_json("http://127.0.0.1:1", run_url=run_url))
    page, plain = (urlsplit(AgentRunHook().settings.run_page(it)) for it in (run_id, "r-1"))
    assert (page.scheme, page.netloc) == (plain.scheme, plain.netloc)
    assert page.path.count("/") == plain.path.count("/")
    assert page.query.count("=") == plain.query.count("=")
    assert page.geturl().isprintable()
    assert page.geturl().isascii()


def test_a_link_that_is_none_stops_the_task_before_a_request(
    run_dag: DagRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer(lambda _: answer({"id": "r-1", "status": "completed"})) as server:
        monkeypatch.setenv(ENV, connection_json(server.url, run_url="javascript:alert('{run_id}')"))
        result = run_dag("""
            AgentRunOutputOperator(task_id="output", run_id="r-1", retries=2, retry_delay=timedelta(0))
        """)
        assert server.requests == []
    assert (result.states, result.tries) == ({"output": "failed"}, {"output": 1})
    assert not result.xcoms["output"].get("_link_AgentRunLink")
