# SPDX-License-Identifier: Apache-2.0
"""Sends webhooks when a run starts, is interrupted, or ends."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import tenacity

from airflow_provider_agentruns.emulator.runs import Run, timestamp
from airflow_provider_agentruns.emulator.script_steps import Json
from airflow_provider_agentruns.emulator.service import Service

log = logging.getLogger(__name__)

#: Seconds after the first try of a delivery. Each pause is twice the one before.
_FIRST_PAUSE = 1.0

_TYPES = {"completed": "run.completed", "error": "run.completed", "interrupted": "run.interrupted"}


class Webhooks:
    """Sends the events of a service from its own threads, each until the receiver accepts it."""

    def __init__(self, service: Service, url: str, secret: str) -> None:
        if httpx.URL(url).scheme not in ("http", "https") or not httpx.URL(url).host:
            raise ValueError(f"webhook should be an http or https URL, not {url!r}")
        self._url = url
        self._service = service
        self._secret = secret.encode()
        #: The number of processed states of each run.
        self._reported: dict[str, int] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agent-runs-webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(httpx.HTTPError),
            wait=tenacity.wait_exponential(multiplier=_FIRST_PAUSE),
            sleep=tenacity.sleep_using_event(self._stopped),
            stop=tenacity.stop_after_attempt(10) | tenacity.stop_when_event_set(self._stopped),
            before_sleep=tenacity.before_sleep_log(log, logging.WARNING),
            retry_error_callback=lambda state: log.warning("A webhook was not delivered: %r", state.outcome),
        )
        with httpx.Client(timeout=10.0, trust_env=False) as http, ThreadPoolExecutor(8) as senders:
            while not self._stopped.wait(0.1):
                for run in self._service.runs.values():
                    for event in self._new_events(run):
                        senders.submit(retrying, self._send, http, run.id, json.dumps(event).encode())
            senders.shutdown(cancel_futures=True)

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

    def _send(self, http: httpx.Client, run_id: str, body: bytes) -> None:
        headers = {
            "X-Middesk-Signature-256": f"sha256={hmac.new(self._secret, body, hashlib.sha256).hexdigest()}",
            "X-Correlation-Id": run_id,
            "Content-Type": "application/json",
        }
        http.post(self._url, content=body, headers=headers).raise_for_status()
