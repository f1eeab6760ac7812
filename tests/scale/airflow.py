# SPDX-License-Identifier: Apache-2.0
"""An Airflow on PostgreSQL that is fit for many tasks, and how many they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.postgres import Postgres
from tests.support.standalone import Standalone

#: How many tasks wait at the same time.
SCALE = int(os.environ.get("SCALE", "1000"))

#: How long each of them may take, in seconds: starting it twice is nearly all that the machine has to do.
SECONDS_PER_TASK = 6

#: Tasks that are run at a time.
_WORKERS = 2 * (os.cpu_count() or 1)


@contextmanager
def airflow_at_scale(
    home: Path, emulator: Emulator, *, capacity: int = SCALE, settings: dict[str, str] | None = None
) -> Iterator[Standalone]:
    """
    Run an Airflow on a PostgreSQL of its own.

    :param emulator: Where its connection leads to.
    :param capacity: How many triggers a triggerer has at a time.
    :param settings: More of Airflow's settings, as environment variables.
    """
    with Postgres() as postgres:
        environment = {
            "AIRFLOW_CONN_AGENTRUNS_DEFAULT": emulator.connection_uri,
            "AIRFLOW_CONN_FS_DEFAULT": "fs://",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url,
            "AIRFLOW__CORE__PARALLELISM": str(_WORKERS),
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(_WORKERS),
            "AIRFLOW__CORE__MAX_MAP_LENGTH": str(max(1024, SCALE)),
            "AIRFLOW__TRIGGERER__CAPACITY": str(capacity),
            # A worker is free within a second after its task; by default Airflow may take 5 to see that it has ended.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            # The files do not change, and there is enough to do without reading them again.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
            **(settings or {}),
        }
        with Standalone(home, Path(__file__).parent / "dags", environment) as airflow:
            yield airflow
