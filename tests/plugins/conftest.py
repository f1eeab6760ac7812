# SPDX-License-Identifier: Apache-2.0
"""Airflow's API server over a database with some task instances, the offline service, and a sender of webhooks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest

from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.server import Emulator
from tests.events.sender import CONNECTION, Sender
from tests.plugins import rights
from tests.plugins.served import ServedAirflow
from tests.support import BUSINESS
from tests.support.airflow_versions import HAS_STATE_STORE
from tests.support.postgres import use_sessions

# Airflow before 3.3 rejects webhooks.
collect_ignore_glob = [] if HAS_STATE_STORE else ["test_webhook_*.py"]

RunOf = Callable[[str, str], Run]


@pytest.fixture(scope="session")
def service() -> Iterator[Emulator]:
    """Return the service. It is shared, because the API server keeps its clients."""
    with Emulator(speed=50, extra={"rate_limit": 200, "run_url": "https://runs.example.com/{run_id}"}) as emulator:
        yield emulator


def configure(environment: pytest.MonkeyPatch, service: Emulator) -> None:
    environment.setenv("AIRFLOW__CORE__AUTH_MANAGER", rights.CLASS)
    environment.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "False")
    environment.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret of the tests" * 4)
    environment.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", service.connection_uri)
    environment.setenv("AIRFLOW_CONN_HOOKED", CONNECTION)
    for conn_id, secret in {"rotated": ["the-old-secret", "the-new-secret"], "weak": "weak", "unhooked": []}.items():
        value = {"conn_type": "agentruns", "extra": {"webhook_secret": secret}}
        environment.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))
    environment.setenv("AIRFLOW_CONN_OTHER_TYPE", CONNECTION.replace("agentruns", "http"))


@pytest.fixture(scope="session")
def served(airflow_home: Path, service: Emulator) -> Iterator[ServedAirflow]:
    """Return the API server, with users who have different permissions."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as environment:
            configure(environment, service)
            airflow = stack.enter_context(ServedAirflow())
        yield airflow


@pytest.fixture(autouse=True)
def _configured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure the API server for one test, so that later tests of this process have none of its connections."""
    if "served" in request.fixturenames:
        configure(monkeypatch, request.getfixturevalue("service"))


@pytest.fixture
def reader(served: ServedAirflow) -> Iterator[httpx.Client]:
    """Return the browser of a user who may read everything."""
    with served.log_in("reader") as browser:
        yield browser


@pytest.fixture(params=["sqlite", "postgresql"])
def database(served: ServedAirflow, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let Airflow use one database after the other; the API server opens a session for each request."""
    if request.param == "postgresql":
        use_sessions(request.getfixturevalue("postgresql"), monkeypatch)
    return str(request.param)


@pytest.fixture
def sender(served: ServedAirflow) -> Iterator[Sender]:
    sender = Sender(served.url)
    with sender.http:
        yield sender


@pytest.fixture
def run_of(service: Emulator) -> RunOf:
    return partial(start_run, service)


def start_run(service: Emulator, agent: str, status: str) -> Run:
    run_id = service.service.create_run(agent, business_id=BUSINESS).id
    end = time.monotonic() + 60
    while (run := service.service.get_run(run_id)).status != status:
        assert time.monotonic() < end, f"{agent} is {run.status}"
        time.sleep(0.02)
    return run
