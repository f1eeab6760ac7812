# SPDX-License-Identifier: Apache-2.0
"""
A worker that may die at any moment.

Requests, retries, and responses are the package's own code, in one process and with one virtual clock.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
from tenacity import Retrying

from airflow_provider_agentruns.client import retries
from airflow_provider_agentruns.client.errors import connection_error, read
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.responses import Response
from airflow_provider_agentruns.exceptions import AgentRunsError
from tests.idempotency.service import Service
from tests.idempotency.task import Killed
from tests.support.scripted_server import Received
from tests.support.state_store import StateStore

T = TypeVar("T")


class Worker:
    """
    One try of a task, which sends requests and stores state.

    :param dies: The number of steps after which it dies. None if it does not die.
    """

    def __init__(self, service: Service, store: StateStore | None, *, dies: int | None = None) -> None:
        self.store = None if store is None else _Noted(store, self._step)
        self._service = service
        self._left = dies
        self._policy = {**retries.policy(2), "sleep": service.clock.sleep, "before_sleep": None}

    def do(self, act: Callable[..., T], *args: Any, **kwargs: Any) -> T | AgentRunsError | None:
        """Return the result or the error of an action, or None if the worker dies."""
        try:
            return act(*args, send=self.send, store=self.store, sleep=self.sleep, **kwargs)
        except Killed:
            return None
        except AgentRunsError as e:
            return e

    def send(self, build: Callable[..., Request[Any]], *args: Any, **kwargs: Any) -> Any:
        return Retrying(**self._policy)(self._send_once, build(*args, **kwargs))

    def sleep(self, seconds: float) -> None:
        self._step()
        self._service.clock.sleep(seconds)

    def _send_once(self, request: Request[Any]) -> Any:
        self._step()
        query = f"?{urlencode(request.params)}" if request.params else ""
        body = b"" if request.body is None else json.dumps(request.body).encode()
        try:
            reply = self._service(Received(request.method, request.path + query, {}, body, 0.0))
        finally:
            # Between the request and its answer.
            self._step()
        if reply.reset:
            kind = httpx.ConnectError if reply.reset == "before" else httpx.ReadError
            raise connection_error(request, kind("broken"), "http://service", str)
        return read(request, Response(reply.status, httpx.Headers(dict(reply.headers)), b"".join(reply.pieces)), str)

    def _step(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise Killed


#: Silent: a failed history shows its requests and results.
log = logging.getLogger(__name__)
log.setLevel(logging.CRITICAL)


class _Noted:
    """A state store that the worker may die before and after using."""

    def __init__(self, store: StateStore, step: Callable[[], None]) -> None:
        self._store = store
        self._step = step

    def get(self, key: str) -> Any:
        self._step()
        return self._store.get(key)

    def set(self, key: str, value: dict[str, Any]) -> None:
        self._step()
        self._store.set(key, value)
        self._step()
