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
from airflow_provider_agentruns.emulator.runs import Run, State
from airflow_provider_agentruns.emulator.scripts import Json
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
        self._since = service.clock()
        #: The number of states of each run that events were made of. Runs that ended need no more.
        self._reported: dict[str, int] = {}
        self._ended: set[str] = set()
        #: Deliveries: when to send, sequence number, number of the try, body, run ID.
        self._queue: list[tuple[float, int, int, bytes, str]] = []
        self._sequence = itertools.count()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agent-runs-webhooks", daemon=True)

    def start(self) -> None:
        """Start to send events of runs that start from now on."""
        self._since = self._service.clock()
        self._thread.start()

    def stop(self) -> None:
        """Stop sending."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_WITHIN)

    def _run(self) -> None:
        with httpx.Client(timeout=_TIMEOUT, trust_env=False) as http:
            while not self._stopped.wait(_CHECK_EVERY):
                for run_id, body in self._new_events():
                    heapq.heappush(self._queue, (time.monotonic(), next(self._sequence), 1, body, run_id))
                while self._queue and self._queue[0][0] <= time.monotonic() and not self._stopped.is_set():
                    self._send(http, *heapq.heappop(self._queue)[2:])

    def _new_events(self) -> Iterator[tuple[str, bytes]]:
        for run_id in list(self._service.runs):
            if run_id in self._ended:
                continue
            run = self._service.get_run(run_id)
            with self._service.lock:
                states = list(run.states)
            if run.created_at >= self._since:
                for number in range(self._reported.get(run_id, 0), len(states)):
                    if kind := _type_of(states, number):
                        yield run_id, json.dumps(_event(run, kind, states[number])).encode()
            self._reported[run_id] = len(states)
            if states[-1].status in ("completed", "error"):
                self._ended.add(run_id)
                del self._reported[run_id]

    def _send(self, http: httpx.Client, tries: int, body: bytes, run_id: str) -> None:
        signature = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        headers = {
            "X-Middesk-Signature-256": f"sha256={signature}",
            "X-Correlation-Id": run_id,
            "Content-Type": "application/json",
        }
        try:
            http.post(self._url, content=body, headers=headers).raise_for_status()
        except httpx.HTTPError as error:
            log.warning("Try %s of %s to send a webhook of run %s failed: %r", tries, _MAX_TRIES, run_id, error)
            if tries < _MAX_TRIES:
                at = time.monotonic() + _FIRST_PAUSE * 2 ** (tries - 1)
                heapq.heappush(self._queue, (at, next(self._sequence), tries + 1, body, run_id))


def _type_of(states: list[State], number: int) -> str | None:
    """Return the type of the event for a state, if it has one."""
    status = states[number].status
    if number == 0:
        return "run.created"
    return _TYPES.get(status) if status != states[number - 1].status else None


def _event(run: Run, kind: str, state: State) -> Json:
    return {
        "object": "event",
        "id": str(uuid.uuid4()),
        "type": kind,
        "created_at": timestamp(state.since),
        "data": {"object": run.as_json(state=state)},
    }
