# SPDX-License-Identifier: Apache-2.0
"""An Airflow with CeleryExecutor: two workers and two triggerers, each with its own host name and temporary folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from starlette.middleware import Middleware

from airflow_provider_agentruns.emulator.server import Emulator
from tests.fleet import host
from tests.scale.soak import SETTINGS, approval
from tests.support.client_killer import ClientKiller
from tests.support.postgres import Postgres
from tests.support.redis_server import RedisServer
from tests.support.standalone import COMPONENTS, Standalone

_TESTS = Path(__file__).parents[1]
_DAG_FILES = ("scale/dags/soak.py", "standalone/dags/agent_runs.py")

_WORKERS = ("worker-1", "worker-2")
_TRIGGERERS = ("triggerer-1", "triggerer-2")
#: Tasks that a worker runs at the same time.
_CONCURRENCY = "3"


@dataclass
class Fleet:
    """
    The Airflow, and what kills its workers.

    :param killed: The workers that were killed, in order.
    """

    airflow: Standalone
    emulator: Emulator
    killer: ClientKiller
    killed: list[str] = field(default_factory=list)

    def kill_worker_of(self, process: psutil.Process) -> None:
        """Kill the worker that runs a process, with all of its tasks."""
        worker = self.airflow.component_of(process)
        self.airflow.kill(worker)
        self.killed.append(worker)

    def replace_killed_worker(self) -> None:
        self.airflow.wait_for(lambda: self.killed, "send a request that kills its worker")
        self.airflow.launch(self.killed.pop())


@contextmanager
def running_fleet(home: Path) -> Iterator[Fleet]:
    """
    Run the Airflow with its own PostgreSQL, with Redis as its broker and as the store of its rate limit.

    :param home: Airflow's home, and the parent of the temporary directories.
    """
    dags = home / "dags"
    dags.mkdir(parents=True)
    for name in _DAG_FILES:
        shutil.copy(_TESTS / name, dags)
    worker = ["celery", "worker", "--skip-serve-logs", "--concurrency", _CONCURRENCY, "--celery-hostname"]
    components = {name: command for name, command in COMPONENTS.items() if name != "triggerer"}
    components |= {name: [*worker, name] for name in _WORKERS}
    components |= dict.fromkeys(_TRIGGERERS, COMPONENTS["triggerer"])
    variables = {}
    for name in (*_WORKERS, *_TRIGGERERS):
        folder = home / "tmp" / name
        folder.mkdir(parents=True)
        variables[name] = {host.VARIABLE: name, "TMPDIR": str(folder)}

    killer = ClientKiller(kill=lambda process: fleet.kill_worker_of(process))
    with (
        Postgres() as postgres,
        RedisServer(home) as redis,
        Emulator(
            agents={"approval": approval},
            rate_limit=20,
            extra={"rate_limit": 20, "rate_limit_store": redis.url},
            middleware=[Middleware(killer)],
        ) as emulator,
    ):
        environment = {
            **SETTINGS,
            "AIRFLOW_CONN_AGENTRUNS_DEFAULT": emulator.connection_uri,
            "AIRFLOW__API_AUTH__JWT_SECRET": "0123456789" * 7,
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": f"{host.__name__}.host_name",
            "AIRFLOW__CELERY__BROKER_URL": redis.url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{postgres.url}",
            # Tasks that a killed worker had received, but had not started.
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
        }
        with Standalone(
            home, dags, environment, database=postgres.url, components=components, variables=variables
        ) as airflow:
            fleet = Fleet(airflow, emulator, killer)
            yield fleet
