# SPDX-License-Identifier: Apache-2.0
"""What the operators' tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.sdk.execution_time import task_runner

from tests.operators.reviewing import Service, Supervisor, TaskInstance
from tests.support.scripted_server import ScriptedServer


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    service = Service()
    monkeypatch.setattr("airflow_provider_agentruns.operators.review_submission.time.sleep", lambda seconds: None)
    with ScriptedServer(service) as server:
        monkeypatch.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", f"agentruns://:t0ken@127.0.0.1:{server.port}/http")
        yield service


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    return supervisor


@pytest.fixture
def ti(supervisor: Supervisor) -> TaskInstance:
    return TaskInstance()
