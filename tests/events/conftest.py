# SPDX-License-Identifier: Apache-2.0
"""Airflow's API server, and who sends webhooks to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_agentruns.events import run_event_poller
from airflow_provider_agentruns.triggers import agent_run
from tests.events.sender import CONNECTION, Sender
from tests.plugins.served import ServedAirflow
from tests.support.airflow_versions import HAS_STATE_STORE

if TYPE_CHECKING:
    from tests.events.assets import Assets

# What they are about is not there before Airflow 3.3.
collect_ignore_glob = [] if HAS_STATE_STORE else ["test_webhook_*.py"]


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let watchers look as often as they like, keep their cursors soon, and fail at once."""
    monkeypatch.setattr(agent_run, "SHORTEST_EVENT_INTERVAL", 0.02)
    monkeypatch.setattr(run_event_poller, "_PAUSE_PER_PAGE", 0.0)


@pytest.fixture(scope="session")
def webhook_server(airflow_home: Path) -> Iterator[ServedAirflow]:
    """Return the API server, with a connection that has a secret, and some that lack one."""
    with pytest.MonkeyPatch.context() as environment:
        # Nobody is logged in.
        environment.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "False")
        environment.setenv("AIRFLOW_CONN_HOOKED", CONNECTION)
        rotated = {"webhook_secret": ["the-old-secret", "the-new-secret"]}
        environment.setenv("AIRFLOW_CONN_ROTATED", json.dumps({"conn_type": "agentruns", "extra": rotated}))
        environment.setenv("AIRFLOW_CONN_UNHOOKED", json.dumps({"conn_type": "agentruns", "password": "mk_test_1"}))
        environment.setenv("AIRFLOW_CONN_OTHER_TYPE", CONNECTION.replace("agentruns", "http"))
        weak = {"webhook_secret": "weak"}
        environment.setenv("AIRFLOW_CONN_WEAK", json.dumps({"conn_type": "agentruns", "extra": weak}))
        with ServedAirflow() as served:
            yield served


@pytest.fixture
def sender(webhook_server: ServedAirflow) -> Iterator[Sender]:
    """Return who sends to the connection ``hooked``."""
    sender = Sender(webhook_server.url)
    with sender.http:
        yield sender


@pytest.fixture
def assets(airflow_home: Path) -> Iterator[Assets]:
    """Return what makes assets."""
    from tests.events.assets import Assets

    made = Assets()
    yield made
    made.clean_up()
