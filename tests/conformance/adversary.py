# SPDX-License-Identifier: Apache-2.0
"""
A service in which each request has the fault that a history defines, and a worker that may die at any moment.

Requests, retries, and responses are the package's own code, in one process and with one virtual clock.
"""

from __future__ import annotations

import heapq
import itertools
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import httpx
import pendulum
from hypothesis import currently_in_test_context, note
from tenacity import Retrying

from airflow_provider_agentruns.client import retries
from airflow_provider_agentruns.client.errors import connection_error, read
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.responses import Response
from airflow_provider_agentruns.exceptions import AgentRunsError
from tests.idempotency.service import Clock, Service
from tests.idempotency.task import Killed
from tests.support.scripted_server import LOST, RESET_BEFORE, Received, Reply, errors, html
from tests.support.state_store import StateStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fault:
    """
    The fault of one request.

    :param reply: ``ok`` for the service's own response; otherwise the fault, or a status as a number.
    :param done: When the service carries it out. A number counts seconds from the moment at which the sender has seen
        the failure or died.
    :param takes: Seconds until the sender gets a response or an error.
    """

    reply: Literal["ok", "lost", "unsent", "unreadable"] | int = "ok"
    done: Literal["at once", "never"] | float = "at once"
    takes: float = 0.0


FINE = Fault()


class Adversary(Service):
    """Applies the faults of the next POSTs and GETs. Calls ``carried_out`` before a POST takes effect."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.posts_faults: list[Fault] = []
        self.gets_faults: list[Fault] = []
        self.carried_out: Callable[[Received], object] = lambda request: None
        self._plan: list[tuple[pendulum.DateTime, int, Callable[[], object]]] = []
        self._order_of_plan = itertools.count()

    def at(self, seconds: float, happening: Callable[[], object]) -> None:
        heapq.heappush(self._plan, (self.clock.moment.add(seconds=seconds), next(self._order_of_plan), happening))

    def catch_up(self) -> None:
        now = self.clock.moment
        while self._plan and self._plan[0][0] <= now:
            self.clock.moment, _, happening = heapq.heappop(self._plan)
            happening()
        self.clock.moment = now

    def __call__(self, request: Received) -> Reply:
        faults = self.gets_faults if request.method == "GET" else self.posts_faults
        fault = faults.pop(0) if faults else FINE
        self.catch_up()
        show(f"{self.clock.moment:HH:mm:ss.S} {request.method} {request.target}: {fault}")
        if fault.reply != "unsent":
            self.seen.append(request)
        reply = None
        if request.method == "GET" or fault.done == "at once":
            reply = self._carry_out(request)
        elif fault.done != "never":
            self.at(fault.takes + float(fault.done), lambda: self._carry_out(request))
        self.clock.sleep(fault.takes)
        match fault.reply:
            case "ok" if reply:
                return self._dated(reply)
            case "unsent":
                return RESET_BEFORE
            case "unreadable":
                return html(201)
            case int(status):
                return self._dated(errors(status, "no", Retry_After="0"))
            case _:
                return LOST

    def _carry_out(self, request: Received) -> Reply:
        if request.method == "GET":
            return self._get(request)
        self.carried_out(request)
        return self._post(request)

    def _dated(self, reply: Reply) -> Reply:
        date = {"Date": self.now.format("ddd, DD MMM YYYY HH:mm:ss [GMT]")} if self.tells_time else {}
        return replace(reply, headers={**reply.headers, **date})


class Worker:
    """
    One try of a task, which sends requests and stores state.

    :param dies: The number of steps after which it dies. None if it does not die.
    """

    def __init__(self, service: Adversary, store: StateStore | None, *, dies: int | None = None) -> None:
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


def show(what: str) -> None:
    if currently_in_test_context():
        note(what)


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
