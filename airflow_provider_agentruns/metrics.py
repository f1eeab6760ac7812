# SPDX-License-Identifier: Apache-2.0
"""
Sends metrics through Airflow to StatsD or OpenTelemetry. ``docs/reference/metrics.md`` lists them.

No tag names a run, because there are thousands of runs.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_agentruns.client.transport import RequestRecord

log = logging.getLogger(__name__)


def observer(conn_id: str) -> Callable[[RequestRecord], None]:
    """Return a function that counts a connection's requests."""
    return partial(_record_request, conn_id)


def _record_request(conn_id: str, record: RequestRecord) -> None:
    status = record.status
    tags = {
        "conn_id": conn_id,
        "method": record.request.method,
        "route": record.request.route,
        "status": "none" if status is None else str(status),
    }
    _count("requests", tags)
    _time("request.duration", record.seconds, tags)
    _time("request.throttle_delay", record.throttle_delay, {"conn_id": conn_id})
    if status == 429:
        _count("requests.rate_limited", tags)
    elif status is None or status >= 400:
        _count("requests.failed", tags)


def run_started(conn_id: str, agent: str, *, found: bool) -> None:
    """Count a run that a task has started, or has ``found`` because an earlier try started it."""
    _count("runs.found" if found else "runs.started", {"conn_id": conn_id, "agent": agent})


def waiting(conn_id: str, waits: int) -> None:
    """Report the number of waits for a connection in this triggerer."""
    _gauge("waits", waits, conn_id)


def poll_lag(conn_id: str, seconds: float) -> None:
    """Report by how many seconds the most overdue poll of this triggerer is late."""
    _gauge("poll.lag", round(seconds, 3), conn_id)


def wait_ended(conn_id: str, verdict: Mapping[str, Any], seconds: float) -> None:
    """Count a deferred wait that ended with a ``status`` or an ``error``."""
    tags = {"conn_id": conn_id, "outcome": str(verdict.get("status") or verdict.get("error"))}
    _count("waits.ended", tags)
    _time("wait.duration", seconds, tags)


def resumed(conn_id: str, outcome: str) -> None:
    """Count an attempt to answer an interrupt: ``confirmed``, ``presumed``, or the class of the error."""
    tags = {"conn_id": conn_id, "outcome": outcome}
    _count("resumes", tags)
    if outcome not in ("confirmed", "presumed"):
        _count("resumes.failed", tags)


def review_asked(conn_id: str) -> None:
    """Count a form."""
    _count("reviews.asked", {"conn_id": conn_id})


def review_decided(conn_id: str, by: str, seconds: float | None) -> None:
    """
    Count a decision.

    :param by: ``person``, ``policy`` or ``timeout``.
    :param seconds: The time for which the form was open. None if it was not shown.
    """
    tags = {"conn_id": conn_id, "by": by}
    _count("reviews.decided", tags)
    if seconds is not None:
        _time("review.duration", seconds, tags)


def review_undelivered(conn_id: str, delivery: str) -> None:
    """Count a try of a review that failed after a decision: ``not sent`` or ``unknown``."""
    _count("reviews.undelivered", {"conn_id": conn_id, "delivery": delivery})


def webhook(conn_id: str, status: int) -> None:
    """
    Count a webhook.

    :param conn_id: The connection; ``unknown`` if it accepts no webhooks or cannot be read, because a stranger can send
        any ID.
    :param status: The HTTP status of the response.
    """
    name = "webhooks.accepted" if status < 300 else "webhooks.rejected"
    _count(name, {"conn_id": conn_id, "status": str(status)})


def _count(name: str, tags: dict[str, str]) -> None:
    _send("incr", name, tags=tags)


def _time(name: str, seconds: float, tags: dict[str, str]) -> None:
    _send("timing", name, timedelta(seconds=seconds), tags=tags)


def _gauge(name: str, value: float, conn_id: str) -> None:
    _send("gauge", name, value, tags={"conn_id": conn_id, "hostname": socket.gethostname()})


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
