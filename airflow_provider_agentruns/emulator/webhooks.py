# SPDX-License-Identifier: Apache-2.0
"""Sends webhooks: an event when a run starts, is interrupted, or ends, repeated until the receiver accepts it."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
import uuid
from dataclasses import dataclass

import httpx

from airflow_provider_agentruns.emulator.ids import timestamp
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.service import Service

log = logging.getLogger(__name__)

#: Seconds between two checks for changed runs.
_CHECK_EVERY = 0.1

#: How often a delivery is tried, and the pause after the first try in seconds. Each pause is twice the one before.
_MAX_TRIES = 10
_FIRST_PAUSE = 1.0

_TIMEOUT = 10.0
_STOP_WITHIN = 15.0

_TYPES = {"completed": "run.completed", "error": "run.completed", "interrupted": "run.interrupted"}


@dataclass(slots=True)
class _Delivery:
    run_id: str
    body: bytes
    tries: int = 0
    due_at: float = 0.0


class Webhooks:
    """
    Sends the events of a service from a thread of its own.

    :param url: The receiver, such as ``http://127.0.0.1:8080/agent-runs/webhooks/agentruns_default``.
    :param secret: Signs the events.
    :raises ValueError: If ``url`` is not an http or https URL.
    """

    def __init__(self, service: Service, url: str, secret: str) -> None:
        if httpx.URL(url).scheme not in ("http", "https") or not httpx.URL(url).host:
            raise ValueError(f"webhook should be an http or https URL, not {url!r}")
        self._url = url
        self._service = service
        self._secret = secret.encode()
        #: The number of states of each run that events were made of.
        self._reported: dict[str, int] = {}
        self._deliveries: list[_Delivery] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agent-runs-webhooks", daemon=True)

    def start(self) -> None:
        """Start to send events."""
        self._thread.start()

    def stop(self) -> None:
        """Stop sending."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_WITHIN)

    def _run(self) -> None:
        with httpx.Client(timeout=_TIMEOUT, trust_env=False) as http:
            while not self._stopped.wait(_CHECK_EVERY):
                for run in self._service.runs.values():
                    self._add_events(run)
                for delivery in list(self._deliveries):
                    if delivery.due_at <= time.monotonic() and not self._stopped.is_set():
                        self._send(http, delivery)

    def _add_events(self, run: Run) -> None:
        states = list(run.states)
        for number in range(self._reported.get(run.id, 0), len(states)):
            state = states[number]
            kind = "run.created" if number == 0 else _TYPES.get(state.status)
            if kind and (number == 0 or state.status != states[number - 1].status):
                event = {
                    "object": "event",
                    "id": str(uuid.uuid4()),
                    "type": kind,
                    "created_at": timestamp(state.since),
                    "data": {"object": run.as_json(state=state)},
                }
                self._deliveries.append(_Delivery(run.id, json.dumps(event).encode()))
        self._reported[run.id] = len(states)

    def _send(self, http: httpx.Client, delivery: _Delivery) -> None:
        headers = {
            "X-Middesk-Signature-256": f"sha256={hmac.new(self._secret, delivery.body, hashlib.sha256).hexdigest()}",
            "X-Correlation-Id": delivery.run_id,
            "Content-Type": "application/json",
        }
        delivery.tries += 1
        delivery.due_at = time.monotonic() + _FIRST_PAUSE * 2 ** (delivery.tries - 1)
        try:
            http.post(self._url, content=delivery.body, headers=headers).raise_for_status()
        except httpx.HTTPError as error:
            message = "Try %s of %s to send a webhook of run %s failed: %r"
            log.warning(message, delivery.tries, _MAX_TRIES, delivery.run_id, error)
            if delivery.tries < _MAX_TRIES:
                return
        self._deliveries.remove(delivery)
