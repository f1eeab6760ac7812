# SPDX-License-Identifier: Apache-2.0
"""A complete Airflow on PostgreSQL, sized for many tasks that wait at the same time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.postgres import Postgres
from tests.support.standalone import Standalone

#: The number of tasks that wait at the same time.
SCALE = int(os.environ.get("SCALE", "1000"))

_WORKERS = 2 * (os.cpu_count() or 1)


@contextmanager
def airflow_at_scale(home: Path, emulator: Emulator, settings: dict[str, str] | None = None) -> Iterator[Standalone]:
    """
    Run an Airflow with its own PostgreSQL.

    :param emulator: The service of its connection.
    :param settings: More settings of Airflow, as environment variables.
    """
    environment = {
        "AIRFLOW_CONN_AGENTRUNS_DEFAULT": emulator.connection_uri,
        "AIRFLOW__CORE__PARALLELISM": str(_WORKERS),
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(_WORKERS),
        "AIRFLOW__CORE__MAX_MAP_LENGTH": str(max(1024, SCALE)),
        "AIRFLOW__TRIGGERER__CAPACITY": str(SCALE),
        **(settings or {}),
    }
    with (
        Postgres() as postgres,
        Standalone(home, Path(__file__).parent / "dags", environment, database=postgres.url) as airflow,
    ):
        yield airflow
