# SPDX-License-Identifier: Apache-2.0
"""Airflow's API server over a database with some task instances, and the offline service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.server import Emulator
from tests.plugins import rights
from tests.plugins.instances import Instances
from tests.plugins.served import ServedAirflow

#: What the runs work on.
BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"


@pytest.fixture(scope="session")
def service() -> Iterator[Emulator]:
    """Return the service; it stays the same, since the server keeps a connection for a while."""
    with Emulator(speed=50, extra={"rate_limit": 200, "run_url": "https://runs.example.com/{run_id}"}) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def served(airflow_home: Path, service: Emulator) -> Iterator[ServedAirflow]:
    """Return the API server, in which people have different rights."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW__CORE__AUTH_MANAGER", rights.CLASS)
        environment.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "False")
        environment.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret of the tests" * 4)
        environment.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", service.connection_uri)
        with ServedAirflow() as served:
            yield served


@pytest.fixture
def reader(served: ServedAirflow) -> Iterator[httpx.Client]:
    """Return the browser of somebody who may read everything."""
    with served.log_in("reader") as browser:
        yield browser


@pytest.fixture
def instances(airflow_home: Path) -> Iterator[Instances]:
    """Return what puts task instances into the database."""
    made = Instances()
    yield made
    made.clean_up()


@pytest.fixture
def run_of(service: Emulator) -> Callable[..., Run]:
    """Return what starts a run, and waits until it is as wanted."""

    def start(agent: str, status: str) -> Run:
        run_id = service.service.create_run(agent, business_id=BUSINESS).id
        end = time.monotonic() + 20
        while (run := service.service.get_run(run_id)).status != status:
            assert time.monotonic() < end, f"{agent} is {run.status}"
            time.sleep(0.02)
        return run

    return start
