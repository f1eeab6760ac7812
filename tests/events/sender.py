# SPDX-License-Identifier: Apache-2.0
"""Webhooks as the service sends them."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from airflow_provider_agentruns.events.signed_webhook import HEADER, sign

SECRET = "whsec_that-only-the-service-knows"

#: The connection whose secret that is, as JSON for ``AIRFLOW_CONN_...``.
CONNECTION = json.dumps({"conn_type": "agentruns", "password": "mk_test_1", "extra": {"webhook_secret": SECRET}})


def event(
    status: str,
    run_id: str | None = None,
    *,
    type_: str | None = None,
    agent: str = "cip_orchestrator",
    ago: timedelta = timedelta(),
    asked: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return an event of some age as the service sends it, with the values of the run's interrupts by their IDs."""
    moment = (datetime.now(UTC) - ago).isoformat()
    types = {"running": "run.created", "interrupted": "run.interrupted"}
    run = {
        "object": "run",
        "id": str(uuid.uuid4()) if run_id is None else run_id,
        "created_at": moment,
        "updated_at": moment,
        "status": status,
        "agent": agent,
        "interrupts": [{"id": key, "value": value} for key, value in (asked or {}).items()],
        **more,
    }
    return {
        "object": "event",
        "id": str(uuid.uuid4()),
        "type": types.get(status, "run.completed") if type_ is None else type_,
        "created_at": moment,
        "data": {"object": run},
    }


def body_of(sent: dict[str, Any]) -> bytes:
    return json.dumps(sent).encode()


class Sender:
    """Posts webhooks for one connection to the API server at a URL."""

    def __init__(self, url: str, conn_id: str = "hooked") -> None:
        self.path = f"/agent-runs/webhooks/{conn_id}"
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def send(self, sent: dict[str, Any] | bytes, *, secret: str = SECRET, path: str | None = None) -> httpx.Response:
        body = sent if isinstance(sent, bytes) else body_of(sent)
        return self.post(body, {HEADER: sign(body, secret)}, path=path)

    def post(self, body: Any, headers: dict[str, str], *, path: str | None = None) -> httpx.Response:
        return self.http.post(path or self.path, content=body, headers={"Content-Type": "application/json", **headers})
