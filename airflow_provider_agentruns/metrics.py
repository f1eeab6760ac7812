# SPDX-License-Identifier: Apache-2.0
"""Sends metrics through Airflow to StatsD or OpenTelemetry. ``docs/reference/metrics.md`` lists them."""

from __future__ import annotations

import logging
import re
import socket
from datetime import timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_agentruns.client.transport import RequestRecord

log = logging.getLogger(__name__)


def request(conn_id: str, record: RequestRecord) -> None:
    status = record.status
    tags = {
        "method": record.request.method,
        "route": record.request.route,
        "status": "none" if status is None else str(status),
    }
    count("requests", conn_id, **tags)
    timing("request.duration", record.seconds, conn_id, **tags)
    timing("request.throttle_delay", record.throttle_delay, conn_id)
    if status == 429:
        count("requests.rate_limited", conn_id, **tags)
    elif status is None or status >= 400:
        count("requests.failed", conn_id, **tags)


def count(name: str, conn_id: str, **tags: str) -> None:
    """Add one to a counter. Tags must not name runs: metrics systems store each combination of tags separately."""
    _send("incr", name, tags={"conn_id": conn_id, **tags})


def timing(name: str, seconds: float, conn_id: str, **tags: str) -> None:
    _send("timing", name, timedelta(seconds=seconds), tags={"conn_id": conn_id, **tags})


def gauge(name: str, value: float, conn_id: str) -> None:
    _send("gauge", name, round(value, 3), tags={"conn_id": conn_id, "hostname": socket.gethostname()})


def _send(kind: str, name: str, *values: Any, tags: dict[str, str]) -> None:
    """Send a metric without the characters in tags that some backends reject."""
    try:
        clean = {tag: re.sub(r"[^A-Za-z0-9_./-]", "_", text[:100]) for tag, text in tags.items()}
        getattr(_stats(), kind)(f"agentruns.{name}", *values, tags=clean)
    except Exception as e:  # noqa: BLE001 -- a metrics backend must not fail a task that has started a run
        _warn_once(f"{type(e).__name__}: {e}")


@lru_cache(maxsize=32)
def _warn_once(problem: str) -> None:
    log.warning("Airflow does not accept a metric: %s", problem)


@cache
def _stats() -> Any:
    # Slow to import.
    from airflow.providers.common.compat.sdk import Stats

    return Stats
