# SPDX-License-Identifier: Apache-2.0
"""One service per component for all rows of the table, and short pauses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from tenacity import wait_fixed

from airflow_provider_agentruns.client import body, retries
from airflow_provider_agentruns.events import run_event_poller
from airflow_provider_agentruns.idempotency import listing_search, resume_run
from airflow_provider_agentruns.polling import streams
from airflow_provider_agentruns.triggers import agent_run
from tests.faults.components import COMPONENTS
from tests.faults.stand import Stand
from tests.hooks.conftest import user  # noqa: F401 -- a fixture


@pytest.fixture(scope="module")
def stands() -> Iterator[dict[str, Stand]]:
    stands = {name: Stand(name) for name in COMPONENTS}
    with ExitStack() as stack:
        for stand in stands.values():
            stack.enter_context(stand.emulator)
        yield stands
    for stand in stands.values():
        os.environ.pop(stand.variable, None)


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten pauses. The number of requests stays the same."""
    monkeypatch.setattr(retries, "_backoff", wait_fixed(0.05))
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(retries, "RATE_LIMIT_BUDGET", 1.0)
    monkeypatch.setattr(listing_search, "_LISTING_LAG", 0.4)
    monkeypatch.setattr(listing_search, "READ_INTERVAL", 0.1)
    monkeypatch.setattr(resume_run, "_PAUSES", (0.02, 0.05, 0.1))
    monkeypatch.setattr(agent_run, "SHORTEST_EVENT_INTERVAL", 0.02)
    monkeypatch.setattr(run_event_poller, "_PAUSE_PER_PAGE", 0.0)
    monkeypatch.setattr(run_event_poller, "LONGEST_PAUSE", 0.3)
    monkeypatch.setattr(streams, "_FIRST_PAUSE", 0.1)
    monkeypatch.setitem(body.STREAM_ARGUMENTS, "timeout", httpx.Timeout(5.0, read=0.5))
