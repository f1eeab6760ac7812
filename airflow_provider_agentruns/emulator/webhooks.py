# SPDX-License-Identifier: Apache-2.0
"""Sends webhooks: an event when a run starts, is interrupted, or ends, repeated until the receiver accepts it."""

from __future__ import annotations

import hashlib
import heapq
import hmac
import itertools
import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator

import httpx

from airflow_provider_agentruns.emulator.ids import timestamp
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.script_steps import Json
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
        #: Deliveries: when to send, sequence number, number of the try, run ID, body.
        self._queue: list[tuple[float, int, int, str, bytes]] = []
        self._sequence = itertools.count()
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
                    for event in self._new_events(run):
                        self._enqueue(0.0, 1, run.id, json.dumps(event).encode())
                while self._queue and self._queue[0][0] <= time.monotonic() and not self._stopped.is_set():
                    self._send(http, *heapq.heappop(self._queue)[2:])

    def _new_events(self, run: Run) -> Iterator[Json]:
        states = list(run.states)
        for number in range(self._reported.get(run.id, 0), len(states)):
            state = states[number]
            kind = "run.created" if number == 0 else _TYPES.get(state.status)
            if kind and (number == 0 or state.status != states[number - 1].status):
                yield {
                    "object": "event",
                    "id": str(uuid.uuid4()),
                    "type": kind,
                    "created_at": timestamp(state.since),
                    "data": {"object": run.as_json(state=state)},
                }
        self._reported[run.id] = len(states)

    def _enqueue(self, pause: float, number: int, run_id: str, body: bytes) -> None:
        heapq.heappush(self._queue, (time.monotonic() + pause, next(self._sequence), number, run_id, body))

    def _send(self, http: httpx.Client, number: int, run_id: str, body: bytes) -> None:
        headers = {
            "X-Middesk-Signature-256": f"sha256={hmac.new(self._secret, body, hashlib.sha256).hexdigest()}",
            "X-Correlation-Id": run_id,
            "Content-Type": "application/json",
        }
        try:
            http.post(self._url, content=body, headers=headers).raise_for_status()
        except httpx.HTTPError as error:
            log.warning("Try %s of %s to send a webhook of run %s failed: %r", number, _MAX_TRIES, run_id, error)
            if number < _MAX_TRIES:
                self._enqueue(_FIRST_PAUSE * 2 ** (number - 1), number + 1, run_id, body)
