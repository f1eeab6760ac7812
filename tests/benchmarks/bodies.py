# SPDX-License-Identifier: Apache-2.0
"""The remote runs of a batch, and the response of each of the three services for each run."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from uuid import UUID

from tests.benchmarks.rows import LONGEST, SHORTEST

#: The number of a run that has ended before the benchmark begins. A wait for it is the warm-up.
WARM_UP = 900_000_000

_SEED = 20_260_801

_SOURCE = {"url": "https://registry.example.com/filings/1", "source_name": "State registry", "source_tier": "primary"}

_ARTIFACT = {
    "id": str(UUID(int=1, version=4)),
    "title": "Company found",
    "type": "report",
    "confidence": "high",
    "summary": "The company is registered in two states and in good standing. Two officers match what was submitted.",
    "sources": [_SOURCE],
}

_OUTPUT = json.dumps({"artifacts": [_ARTIFACT] * 3})

#: The output of a completed run, as in the responses.
OUTPUT = _OUTPUT.encode()

_RUN = (
    '{"object":"run","id":"%(id)s","created_at":"%(created)s","updated_at":"%(updated)s","status":"%(status)s",'
    '"thread_id":"%(thread)s","agent":"cip_orchestrator",'
    '"requester":{"id":"cfc7fe66-cdf0-4333-bd7e-4495c448620f","name":"Offline account","email":null},'
    '"started_at":"%(created)s","ended_at":%(ended)s,"output":%(output)s,"interrupts":[]}'
)

_DBT = (
    '{"status":{"code":200,"is_success":true,"user_message":"Success!","developer_message":""},'
    '"data":{"id":%(number)d,"trigger_id":%(number)d,"account_id":1,"project_id":2,"job_definition_id":3,'
    '"status":%(status)d,"status_humanized":"%(word)s","git_branch":"main","is_complete":%(over)s,'
    '"is_success":%(over)s,"is_error":false,"is_cancelled":false,"created_at":"%(created)s"}}'
)

_DATABRICKS = (
    '{"job_id":3,"run_id":%(number)d,"number_in_job":%(number)d,"creator_user_name":"someone@example.com",'
    '"run_name":"nightly","run_page_url":"https://example.com/?o=1#job/3/run/%(number)d",'
    '"state":{"life_cycle_state":"%(life)s","result_state":"%(result)s","state_message":""},'
    '"tasks":[{"run_id":%(number)d,"task_key":"only","state":{"life_cycle_state":"%(life)s"}}]}'
)


@dataclass(frozen=True, slots=True)
class RemoteRun:
    """
    A remote run.

    :param ends_at: When it ends, in seconds since 1970.
    :param bodies: The response of each service before and after the end.
    """

    number: int
    ends_at: float
    bodies: dict[str, tuple[bytes, bytes]]

    def body(self, service: str) -> bytes:
        return self.bodies[service][time.time() >= self.ends_at]


def run_id(number: int) -> str:
    return str(UUID(bytes=hashlib.sha256(b"run %d" % number).digest()[:16], version=4))


def durations(count: int) -> list[float]:
    """Return the duration of each run, the same in each process."""
    random = Random(_SEED)  # noqa: S311 -- nothing here is secret
    return [random.uniform(SHORTEST, LONGEST) for _ in range(count)]


def remote_run(number: int, created_at: float, ends_at: float) -> RemoteRun:
    created, ended = _timestamp(created_at), _timestamp(ends_at)
    known = {"id": run_id(number), "thread": run_id(-number), "created": created, "number": number}

    def bodies(template: str, running: dict[str, object], over: dict[str, object]) -> tuple[bytes, bytes]:
        return (template % {**known, **running}).encode(), (template % {**known, **over}).encode()

    return RemoteRun(
        number,
        ends_at,
        {
            "agent_run": bodies(
                _RUN,
                {"updated": created, "status": "running", "ended": "null", "output": "null"},
                {"updated": ended, "status": "completed", "ended": f'"{ended}"', "output": _OUTPUT},
            ),
            "dbt": bodies(
                _DBT,
                {"status": 3, "word": "Running", "over": "false"},
                {"status": 10, "word": "Success", "over": "true"},
            ),
            "databricks": bodies(
                _DATABRICKS, {"life": "RUNNING", "result": ""}, {"life": "TERMINATED", "result": "SUCCESS"}
            ),
        },
    )


def _timestamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
