# SPDX-License-Identifier: Apache-2.0
"""
IDs and answers from DAG authors, agents, and people reach the service as one segment of a path or as JSON in a body.

``tests/client`` tests the encoding of single requests. These tests check what complete tasks send.
"""

from __future__ import annotations

import re

from tests.support.dag_runs import DagRunner
from tests.support.scripted_server import Received, Reply, Serve, answer

_HEADERS = {
    "host", "accept", "accept-encoding", "connection", "user-agent", "authorization", "content-length", "content-type",
}  # fmt: skip
_TARGET = re.compile(r"/v1/runs(/[^/?#\s]{1,2400}(/resume)?)?(\?(page|per_page|include)=\w+(&per_page=\d+)?)?")

HOSTILE = ["r-1\r\nX-Evil: 1", "../agents", "..%2Fagents", "r-1?include=steps", "@evil.example.com/", "r" * 100_000]


def well_formed(request: Received) -> bool:
    """Return whether a request has a path of the contract and no additional headers."""
    return request.headers.keys() <= _HEADERS and _TARGET.fullmatch(request.target) is not None


def test_a_run_id_is_one_segment_of_the_path_or_is_rejected(run_dag: DagRunner, serve: Serve) -> None:
    def service(request: Received) -> Reply:
        run_id = request.path.removeprefix("/v1/runs/").removesuffix("/resume")
        return answer({"object": "run", "id": run_id, "status": "completed", "output": {"artifacts": []}})

    server = serve(service)
    result = run_dag(
        f"""
        for number in range({len(HOSTILE)}):
            run_id = "{{{{ dag_run.conf['ids'][%d] }}}}" % number
            AgentRunOutputOperator(task_id=f"output_{{number}}", run_id=run_id, retries=2, retry_delay=timedelta(0))
        """,
        ids=HOSTILE,
    )
    requests = list(server.requests)
    assert all(well_formed(request) for request in requests)
    read = {request.path.removeprefix("/v1/runs/") for request in requests}
    assert read <= set(HOSTILE)
    for number, hostile in enumerate(HOSTILE):
        state = "success" if hostile in read else "failed"
        assert (result.states[f"output_{number}"], result.tries[f"output_{number}"]) == (state, 1)
    assert "failed" in result.states.values()
    assert "AgentRunsValueError: run_id" in result.log


def test_the_id_of_a_new_run_is_checked_too(run_dag: DagRunner, serve: Serve) -> None:
    def service(request: Received) -> Reply:
        if request.method != "POST":
            run_id, status = request.path.removeprefix("/v1/runs/"), "completed"
        else:
            run_id, status = HOSTILE[int(request.json["thread_id"])], "running"
        return answer({"object": "run", "id": run_id, "status": status, "output": {"artifacts": []}})

    server = serve(service, run_url="https://runs.example.com/{run_id}")
    result = run_dag(f"""
        for number in range({len(HOSTILE)}):
            AgentRunOperator(task_id=f"start_{{number}}", agent="a", thread_id=str(number), poll_interval=0.1)
    """)
    requests = list(server.requests)
    assert all(well_formed(request) for request in requests)
    assert [request.method for request in requests].count("POST") == len(HOSTILE)
    read = {request.path.removeprefix("/v1/runs/") for request in requests if request.method == "GET"}
    assert read <= set(HOSTILE)
    for number, hostile in enumerate(HOSTILE):
        assert (result.states[f"start_{number}"] == "success") is (hostile in read)
        link = result.xcoms[f"start_{number}"].get("_link_AgentRunLink") or ""
        assert re.fullmatch(r"(https://runs\.example\.com/[\w.~%-]+)?", link), link
