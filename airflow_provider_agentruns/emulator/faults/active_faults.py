# SPDX-License-Identifier: Apache-2.0
"""The active rules, which tests add and remove while the service is running, and how they apply to requests."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_agentruns.emulator.faults.exchange import Exchange
from airflow_provider_agentruns.emulator.faults.plan import Rule, rule_of
from airflow_provider_agentruns.emulator.ids import Ids
from airflow_provider_agentruns.emulator.service import Service
from airflow_provider_agentruns.emulator.web_server import RECORD


class Faults:
    """
    The active rules, in order: the first one that is due applies to a request.

    Each rule counts all requests that match it, even if another rule applies. All methods are thread-safe.

    :param seed: Another seed selects other requests for rules with a ``share``.
    :param on_change: Called after each change of the active rules.
    """

    def __init__(self, seed: int, on_change: Callable[[], None]) -> None:
        self._ids = Ids(seed)
        self._on_change = on_change
        self._lock = threading.Lock()
        #: How often rules of a fault have seen a method and a path.
        self._seen: Counter[tuple[str, str, str]] = Counter()
        #: The active rules.
        self.active: tuple[Rule, ...] = ()

    def add(self, fault: str, method: str | None = None, path: str | None = None, **fields: Any) -> Rule:
        """
        Add a rule after the active ones.

        :param fault: The name of a fault.
        :param method: Only requests with this method.
        :param path: Only requests whose path matches this regular expression as a whole.
        :param fields: ``after``, ``times``, ``share``, and the parameters of the fault.
        :raises FaultError: If a field is wrong.
        """
        given = {"method": method, "path": path}
        return self.add_plan([{"fault": fault, **{it: given[it] for it in given if given[it]}, **fields}])[0]

    def add_plan(self, plan: Iterable[Any]) -> list[Rule]:
        """
        Add all rules of a plan, or none if one is wrong.

        :param plan: Rules such as ``"503 GET /v1/runs/.* times=2"`` or
            ``{"fault": "503", "method": "GET", "path": "/v1/runs/.*", "times": 2}``.
        :raises FaultError: If a field is wrong.
        """
        rules = [rule_of(entry) for entry in plan]
        with self._lock:
            self.active = (*self.active, *rules)
        self._on_change()
        return rules

    @contextmanager
    def of(self, fault: str, method: str | None = None, path: str | None = None, **fields: Any) -> Iterator[Rule]:
        """Add a rule for the duration of a block. Takes the arguments of ``add``."""
        rule = self.add(fault, method, path, **fields)
        try:
            yield rule
        finally:
            self.remove(rule)

    def remove(self, rule: Rule) -> None:
        """Remove a rule. The fault continues for requests that it already applies to."""
        with self._lock:
            self.active = tuple(other for other in self.active if other is not rule)
        self._on_change()

    def clear(self) -> None:
        """Remove all rules."""
        for rule in self.active:
            self.remove(rule)

    @property
    def refuses_connections(self) -> bool:
        """Whether an active rule makes the service unreachable."""
        return any(rule.fault.applies_to == "service" for rule in self.active)

    def select(self, exchange: Exchange) -> Rule | None:
        """Count a request, and return the rule that applies to it."""
        rules = [rule for rule in self.active if rule.matches(exchange)]
        return self._first_due(rules, exchange.request.method, exchange.request.scope["path"])

    def closes_connection(self) -> bool:
        """Count a new connection, and return whether to close it."""
        rules = [rule for rule in self.active if rule.fault.applies_to == "connection"]
        return self._first_due(rules, "", "") is not None

    def _first_due(self, rules: list[Rule], method: str, path: str) -> Rule | None:
        with self._lock:
            due = [rule for rule in rules if self._is_due(rule, method, path)]
            if due:
                due[0].met += 1
            return due[0] if due else None

    def _is_due(self, rule: Rule, method: str, path: str) -> bool:
        """Count a matching request, and return whether the fault should apply to it."""
        rule.seen += 1
        request = (rule.fault.name, method, path)
        self._seen[request] += 1
        if rule.seen <= rule.after or (rule.times is not None and rule.met >= rule.times):
            return False
        # The outcome for the n-th request to a path does not depend on the order in which requests arrive.
        return self._ids.rng(*request, self._seen[request]).random() < rule.share


class FaultMiddleware:
    """Applies the active faults before requests are authenticated or counted towards the rate limit."""

    def __init__(self, app: ASGIApp, faults: Faults, service: Service) -> None:
        self._app = app
        self._faults = faults
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Apply the fault that is due, or pass the request on."""
        exchange = Exchange(self._app, scope, send, self._service)
        rule = self._faults.select(exchange)
        if not rule:
            return await self._app(scope, receive, send)
        scope[RECORD].fault = rule.fault.name
        parameters = dict(rule.parameters)
        taken = parameters.pop("taken", rule.fault.carried_out)
        assert rule.fault.run  # noqa: S101 -- faults that apply to requests have code
        async with AsyncExitStack() as stack:
            response = await stack.enter_async_context(exchange.carried_out()) if taken else None
            applying = asyncio.create_task(rule.fault.run(exchange, response, **parameters))
            leaving = asyncio.create_task(_disconnected(receive))
            try:
                done, _ = await asyncio.wait((applying, leaving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                applying.cancel()
                leaving.cancel()
            if applying in done:
                applying.result()
        return None


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
