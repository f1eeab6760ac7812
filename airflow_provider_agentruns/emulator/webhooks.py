# SPDX-License-Identifier: Apache-2.0
"""The webhooks of the offline service: an event whenever a run begins, asks something or ends, sent until received."""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import datetime

import httpx

from airflow_provider_agentruns.emulator.ids import timestamp
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.scripts import Json
from airflow_provider_agentruns.emulator.service import Service
from airflow_provider_agentruns.events.signature import HEADER, sign

log = logging.getLogger(__name__)

#: How often runs are looked at, in seconds.
_EVERY = 0.1

#: How often an event is sent again that was not received, and after how many seconds: twice as many each time.
_MOST_TRIES = 10
_FIRST_PAUSE = 1.0

_TIMEOUT = 10.0
_STOP_WITHIN = 15.0

_TYPES = {"completed": "run.completed", "error": "run.completed", "interrupted": "run.interrupted"}


class Webhooks:
    """
    Sends the events of a service, from a thread of its own.

    :param url: Where to, such as ``http://127.0.0.1:8080/agent-runs/webhooks/agentruns_default``.
    :param secret: What they are signed with.
    :raises ValueError: If the URL is none.
    """

    def __init__(self, service: Service, url: str, secret: str) -> None:
        if httpx.URL(url).scheme not in ("http", "https") or not httpx.URL(url).host:
            raise ValueError(f"webhook should be an http or https URL, not {url!r}")
        self.url = url
        self._service = service
        self._secret = secret
        self._since = service.clock()
        # How many of its statuses each open run has been told of; and the runs of which nothing more will come.
        self._told: dict[str, int] = {}
        self._over: set[str] = set()
        # What is to be sent: when, in which order, for which time, and what.
        self._due: list[tuple[float, int, int, bytes, str]] = []
        self._order = itertools.count()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agent-runs-webhooks", daemon=True)

    def start(self) -> None:
        """Send from now on, of the runs that begin from now on."""
        self._since = self._service.clock()
        self._thread.start()

    def stop(self) -> None:
        """Send no more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_WITHIN)

    def _run(self) -> None:
        with httpx.Client(timeout=_TIMEOUT, trust_env=False) as http:
            while not self._ended.wait(_EVERY):
                for run_id, body in self._news():
                    heapq.heappush(self._due, (time.monotonic(), next(self._order), 1, body, run_id))
                while self._due and self._due[0][0] <= time.monotonic() and not self._ended.is_set():
                    self._send(http, *heapq.heappop(self._due)[2:])

    def _news(self) -> Iterator[tuple[str, bytes]]:
        for run_id in list(self._service.runs):
            if run_id in self._over:
                continue
            run = self._service.get_run(run_id)
            if run.created_at < self._since:
                self._over.add(run_id)
                continue
            with self._service.lock:
                told = self._told.get(run_id, 0)
                for number, (moment, status) in list(enumerate(run.statuses))[told:]:
                    if kind := _TYPES.get(status, "" if number else "run.created"):
                        yield run_id, json.dumps(_event(run, kind, moment)).encode()
                self._told[run_id] = len(run.statuses)
                if run.finished:
                    self._over.add(run_id)
                    del self._told[run_id]

    def _send(self, http: httpx.Client, tries: int, body: bytes, run_id: str) -> None:
        headers = {HEADER: sign(body, self._secret), "X-Correlation-Id": run_id, "Content-Type": "application/json"}
        try:
            answer = http.post(self.url, content=body, headers=headers)
        except httpx.HTTPError as e:
            problem = f"{type(e).__name__}: {e}"
        else:
            if answer.is_success:
                return
            problem = f"{answer.status_code} {answer.text[:200]}"
        again = tries < _MOST_TRIES
        log.warning(
            "A webhook of run %s was not received%s: %s", run_id, ", and is sent again" if again else "", problem
        )
        if again:
            at = time.monotonic() + _FIRST_PAUSE * 2 ** (tries - 1)
            heapq.heappush(self._due, (at, next(self._order), tries + 1, body, run_id))


def _event(run: Run, kind: str, moment: datetime) -> Json:
    return {
        "object": "event",
        "id": str(uuid.uuid4()),
        "type": kind,
        "created_at": timestamp(moment),
        "data": {"object": run.as_json(at=moment)},
    }
