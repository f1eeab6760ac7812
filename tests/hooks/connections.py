# SPDX-License-Identifier: Apache-2.0
"""Airflow connections for tests, and the TCP connections that they open."""

from __future__ import annotations

import json
import os
from typing import Any

import psutil

TOKEN = "mk_test_do-not-tell"


def connection_json(url: str, *, token: str | None = TOKEN, **extra: Any) -> str:
    """Return a connection for ``AIRFLOW_CONN_...`` without a noticeable rate limit and repetitions."""
    fields = {"conn_type": "agentruns", "host": url, "password": token}
    return json.dumps({**fields, "extra": {"rate_limit": 1000, "max_retries": 0, **extra}})


def open_sockets(port: int) -> int:
    """Count this process's TCP connections, as a client, to a port."""
    return sum(
        bool(connection.raddr) and connection.raddr.port == port and connection.status != psutil.CONN_TIME_WAIT
        for connection in psutil.Process(os.getpid()).net_connections("tcp")
    )
