# SPDX-License-Identifier: Apache-2.0
"""One complete Airflow for all tests of this folder, and the offline service."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.middleware import Middleware

from airflow_provider_agentruns.emulator.script_steps import Ask, Case, Fails, ScriptBody
from airflow_provider_agentruns.emulator.server import Emulator
from tests.events.sender import SECRET
from tests.support.client_killer import ClientKiller
from tests.support.postgres import Postgres
from tests.support.standalone import Standalone
from tests.support.statsd import StatsdServer

#: The ID of the artifact that the agent ``rated`` proposes.
RATED_ARTIFACT = "7d0c1c1e-6a55-4f0e-9d6b-0d4b8f6c2a11"

#: Must not appear in anything that Airflow writes. The webhook secret must not either.
TOKEN = "mk_test_a-token-that-nobody-may-see"


def rated(case: Case) -> ScriptBody:
    """Propose an artifact with an ID, so that a reviewer can rate it."""
    artifact = {"id": RATED_ARTIFACT, "title": "New address", "type": "address_change", "summary": "Moved"}
    yield Ask([{"agent": case.agent, "label": "Should the address be changed?", "artifacts": [artifact]}])
    return []


def watched(case: Case) -> ScriptBody:
    """Ask one question; fail if it is rejected. Watchers of this agent do not see the runs of other tests."""
    [answer] = yield Ask([{"agent": case.agent, "label": "Is this right?"}])
    if answer == "reject":
        raise Fails("Rejected", "The answer was reject")
    return []


@pytest.fixture(scope="session")
def killer() -> ClientKiller:
    return ClientKiller()


@pytest.fixture(scope="session")
def emulator(killer: ClientKiller) -> Iterator[Emulator]:
    """Return the offline service, on which ``slow`` takes about 2 seconds."""
    agents = {"rated": rated, "watched": watched}
    extra = {"rate_limit": 200, "run_url": "https://example.com/runs/{run_id}"}
    with Emulator(token=TOKEN, speed=2.5, agents=agents, extra=extra, middleware=[Middleware(killer)]) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def statsd() -> Iterator[StatsdServer]:
    with StatsdServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres | None]:
    """Return Airflow's database server, or None where PostgreSQL is not installed and Airflow uses SQLite."""
    try:
        server = Postgres()
    except FileNotFoundError as e:
        warnings.warn(f"The complete Airflow uses SQLite. {e}", stacklevel=1)
        yield None
    else:
        with server:
            yield server


@pytest.fixture(scope="session")
def airflow(
    emulator: Emulator, statsd: StatsdServer, postgres: Postgres | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standalone]:
    """
    Return the Airflow.

    :raises AssertionError: At the end, if it has written the token or the webhook secret anywhere.
    """
    home = tmp_path_factory.mktemp("standalone")
    dags = home / "dags"
    shutil.copytree(Path(__file__).parent / "dags", dags)
    for example in (Path(__file__).parents[2] / "example_dags").glob("example_agent_run_review*.py"):
        (dags / example.name).write_text(example.read_text().replace("timedelta(hours=4)", "timedelta(seconds=4)"))
    emulator.extra = {**emulator.extra, "audit_path": str(home / "audit")}
    environment = {
        "AIRFLOW_CONN_AGENTRUNS_DEFAULT": emulator.connection_uri,
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",  # Only DAGs that are not paused have watchers.
        **statsd.environment,
    }
    with Standalone(home, dags, environment, database=postgres.url if postgres else None) as airflow:
        yield airflow
    written = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    if postgres:
        written[postgres.folder / "dump"] = postgres.dump()
    assert any(path.suffix == ".log" for path in written)
    for secret in (TOKEN, SECRET):
        assert not [path for path, content in written.items() if secret.encode() in content]
