# SPDX-License-Identifier: Apache-2.0
"""Reads connections outside of tasks. Airflow's public API reads them in tasks and triggers only."""

from __future__ import annotations

from airflow.models.connection import Connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException


def read_connection(conn_id: str) -> Connection | None:
    try:
        return Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        return None
