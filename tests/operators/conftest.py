# SPDX-License-Identifier: Apache-2.0
"""What the operators' tests share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from airflow.sdk.execution_time import task_runner

from airflow_provider_agentruns.emulator.server import Emulator
from tests.operators.reviewing import Service, Supervisor, TaskInstance
from tests.support.scripted_server import ScriptedServer


@pytest.fixture
def answer_elsewhere(agent_runs_emulator: Emulator) -> Iterator[Callable[..., None]]:
    """Return a function that answers all questions of all runs, in a thread, as a person outside Airflow does."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def answer(after: float = 0.0) -> None:
        def work() -> None:
            stop.wait(after)
            while not stop.wait(0.05):
                service = agent_runs_emulator.service
                for run in list(service.runs.values()):
                    for question in list(run.interrupts):
                        service.answer(run.id, question["id"], {"decision": "approve"})

        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()

    yield answer
    stop.set()
    for thread in threads:
        thread.join(5)


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
