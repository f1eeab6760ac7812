# SPDX-License-Identifier: Apache-2.0
"""The service, the clock and the task of each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pendulum
import pytest

from airflow_provider_agentruns.client import retries
from airflow_provider_agentruns.client.connection_settings import Settings
from airflow_provider_agentruns.client.transport import Transport
from tests.idempotency.service import Clock, Service
from tests.idempotency.task import Task
from tests.support.scripted_server import ScriptedServer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock of this machine, which advances only during a sleep. Sockets keep the real clock."""
    clock = Clock()
    monkeypatch.setattr(pendulum, "now", clock.now)
    return clock


@pytest.fixture
def service(clock: Clock) -> Service:
    return Service(clock)


@pytest.fixture
def new_task(service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Task]]:
    # Pauses after a 429 use the real clock.
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(retries, "RATE_LIMIT_BUDGET", 0.0)
    with ScriptedServer(service) as server:
        # No retries, because the tests show what happens when retries fail.
        settings = Settings(base_url=server.url, token="mk_test_token", rate_limit=10_000, timeout=5, max_retries=0)
        with closing(Transport(settings)) as transport:
            yield lambda **options: Task(transport, clock, **options)


@pytest.fixture
def task(new_task: Callable[..., Task]) -> Task:
    return new_task()
