# SPDX-License-Identifier: Apache-2.0
"""Airflow homes that are independent of the machine's own Airflow."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def airflow_environment(home: Path, dags: Path | None = None) -> dict[str, str]:
    """
    Return the environment variables of an Airflow with a home of its own.

    :param dags: The folder of DAG files; by default ``home/dags``, which is created.
    """
    if dags is None:
        dags = home / "dags"
        dags.mkdir(parents=True, exist_ok=True)
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        # Airflow starts `airflow` and `python` from the PATH.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "no_proxy": "127.0.0.1,localhost",
    }
