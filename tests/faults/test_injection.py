# SPDX-License-Identifier: Apache-2.0
"""
What DAG authors, agents and people write ends up in one segment of a path, or as JSON in a body: nowhere else.

That the requests encode ids is tested in ``tests/client/test_request_ids.py``; here it is what whole tasks send.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from tests.hooks.connections import connection_json
from tests.support.dag_runs import DagRunner
from tests.support.scripted_server import Received, Reply, ScriptedServer, answer

ENV = "AIRFLOW_CONN_AGENTRUNS_DEFAULT"
BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"

#: Header names that a request of ours has, and no others.
_HEADERS = {
    "host", "accept", "accept-encoding", "connection", "user-agent", "authorization", "content-length", "content-type",
}  # fmt: skip

#: A run's id is its one free part.
_TARGET = re.compile(r"/v1/runs(/[^/?#\s]{1,2400}(/resume)?)?(\?(page|include)=\w+(&per_page=\d+)?)?")

HOSTILE = {
    "CR LF": "r-1\r\nX-Evil: 1",
    "a request inside": "r-1 HTTP/1.1\r\nHost: evil\r\n\r\nGET /v1/agents",
    "up": "../agents",
    "encoded up": "..%2Fagents",
    "query": "r-1?include=steps",
    "fragment": "r-1#x",
    "host": "@evil.example.com/",
    "slashes": "//evil.example.com/r-1",
    "backslash": "..\\agents",
    "full width": "．．／agents",  # noqa: RUF001
    "right to left": "r-1\u202e1-r",
    "null": "r-1\x00",
    "very long": "r" * 100_000,
}


def well_formed(request: Received) -> bool:
    """Whether a request has one path of ours, and no header that another text brought along."""
    return (
        request.headers.keys() <= _HEADERS
        and re.fullmatch(
            r"/v1/runs(/[^/?#\s]{1,2400}(/resume)?)?(\?(page|per_page|include)=\w+(&per_page=\d+)?)?", request.target
        )
        is not None
    )


class Waiting:
    """A service of one run with the id and the interrupt that a test wants, which completes once it is answered."""

    def __init__(self, run_id: str = "r-1", interrupt_id: str = "i-1") -> None:
        self.run_id = run_id
        self.interrupts: list[dict[str, Any]] = [{"id": interrupt_id, "value": {"label": "Right?"}}]
        self.bodies: list[Any] = []

    def __call__(self, request: Received) -> Reply:
        if request.method == "POST":
            self.bodies.append(request.json)
            if request.path.endswith("/resume"):
                self.interrupts = []
        status = "interrupted" if self.interrupts else "completed"
        return answer({"object": "run", "id": self.run_id, "status": status, "interrupts": self.interrupts})


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_run_id_reaches_the_wire_as_one_segment_or_not_at_all(
    run_dag: DagRunner, monkeypatch: pytest.MonkeyPatch, hostile: str
) -> None:
    with ScriptedServer(Waiting(interrupt_id="i-1")) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        result = run_dag(
            """
            tried = dict(retries=2, retry_delay=timedelta(0), run_id="{{ dag_run.conf['hostile'] }}")
            AgentRunResumeOperator(task_id="resume", interrupt_id="i-1", input="yes", **tried)
            AgentRunOutputOperator(task_id="output", **tried)
            """,
            hostile=hostile,
        )
        requests = list(server.requests)
    assert all(well_formed(request) for request in requests)
    assert {request.path.removeprefix("/v1/runs/").removesuffix("/resume") for request in requests} <= {hostile}
    if not requests:
        assert result.states == {"resume": "failed", "output": "failed"}
        assert result.tries == {"resume": 1, "output": 1}
        assert "AgentRunsValueError: run_id" in result.log


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_an_id_that_the_service_gives_a_new_run_is_no_better_trusted(
    run_dag: DagRunner, monkeypatch: pytest.MonkeyPatch, hostile: str
) -> None:
    service = Waiting(run_id=hostile)
    service.interrupts = []
    with ScriptedServer(lambda request: started(request, hostile)) as server:
        monkeypatch.setenv(ENV, connection_json(server.url, run_url="https://runs.example.com/{run_id}"))
        result = run_dag(f"""
            AgentRunOperator(task_id="start", agent="a", business_id="{BUSINESS}", poll_interval=0.1, timeout=5)
        """)
        requests = list(server.requests)
    assert all(well_formed(request) for request in requests)
    assert [request.method for request in requests].count("POST") == 1
    assert {request.path for request in requests if request.method == "GET"} <= {f"/v1/runs/{hostile}"}
    link = result.xcoms["start"].get("_link_AgentRunLink") or ""
    assert re.fullmatch(r"(https://runs\.example\.com/[\w.~%-]+)?", link), link
    if len(requests) == 1:
        assert result.states == {"start": "failed"}


def started(request: Received, run_id: str) -> Reply:
    """Answer with a run that is at work when it is started, and done when it is looked at."""
    status = "running" if request.method == "POST" else "completed"
    return answer({"object": "run", "id": run_id, "status": status, "output": {"artifacts": []}})


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_interrupt_ids_and_answers_are_json_in_the_body_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, hostile: str
) -> None:
    service = Waiting(interrupt_id=hostile)
    with ScriptedServer(service) as server:
        monkeypatch.setenv(ENV, connection_json(server.url))
        hook = AgentRunHook()
        hook.resume_run("r-1", hostile, {hostile: [hostile]})
        hook.close()
        [request] = server.requests
    assert well_formed(request)
    assert request.target == "/v1/runs/r-1/resume"
    assert service.bodies == [{"interrupt_id": hostile, "input": {hostile: [hostile]}}]


def test_form_answers_with_line_breaks_reach_the_agent_as_they_were_given(
    run_dag: DagRunner, agent_runs_emulator: Emulator
) -> None:
    service = agent_runs_emulator.service
    run = service.create_run("needs_approval", business_id=BUSINESS)
    while not run.interrupts:
        run = service.runs[run.id]
    given = {"decision": "approve\r\nX-Evil: 1", "note": "\u202e../\x00?#" + "x" * 100_000}
    result = run_dag(
        f"""
        AgentRunReviewOperator(
            task_id="review", run_id="{run.id}", interrupt="{run.interrupts[0]["id"]}",
            decide=lambda asked: {given!r},
        )
        """
    )
    assert result.states == {"review": "success"}
    assert [taken.input for taken in service.answers] == [given]
