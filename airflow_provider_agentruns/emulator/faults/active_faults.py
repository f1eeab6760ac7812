# SPDX-License-Identifier: Apache-2.0
"""The active rules. Tests add and remove them while the service is running."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_agentruns.emulator.faults.exchange import Exchange
from airflow_provider_agentruns.emulator.faults.plan import FaultError, Rule, rule_of, rules_of
from airflow_provider_agentruns.emulator.ids import Ids

__all__ = ["ActiveRule", "FaultError", "Faults"]


class ActiveRule:
    """An active rule, and the number of requests that it applied to."""

    def __init__(self, rule: Rule, ids: Ids, number: int) -> None:
        self.rule = rule
        #: The number of requests that matched the rule.
        self.seen = 0
        #: The number of requests that the fault was applied to.
        self.met = 0
        self._ids = ids
        self._number = number
        self._by_path: Counter[tuple[str, str]] = Counter()

    def matches(self, exchange: Exchange) -> bool:
        """Return whether the rule selects a request."""
        rule, request = self.rule, exchange.request
        return (
            rule.fault.applies_to == "request"
            and rule.method in (None, request.method)
            and (rule.path is None or re.fullmatch(rule.path, request.scope["path"]) is not None)
            and rule.fault.condition(exchange, rule.parameters)
        )

    def is_due(self, method: str, path: str) -> bool:
        """Count a matching request, and return whether the fault should apply to it."""
        self.seen += 1
        self._by_path[method, path] += 1
        if self.seen <= self.rule.after or (self.rule.times is not None and self.met >= self.rule.times):
            return False
        # The outcome for the n-th request to a path does not depend on the order in which requests arrive.
        rng = self._ids.rng("fault", self._number, method, path, self._by_path[method, path])
        return self.rule.share == 1 or rng.random() < self.rule.share


class Faults:
    """
    The active rules, in order: the first one that is due applies to a request.

    Each rule counts all requests that match it, even if another rule applies. All methods are thread-safe.

    :param seed: Another seed selects other requests for rules with a ``share``.
    :param set_port: Takes a rule, and whether the rule keeps the port of the service closed.
    """

    def __init__(self, seed: int, set_port: Callable[[ActiveRule, bool], None]) -> None:
        self._ids = Ids(seed)
        self._set_port = set_port
        self._lock = threading.Lock()
        self._added = 0
        #: The active rules.
        self.active: tuple[ActiveRule, ...] = ()

    def add(self, fault: str, method: str | None = None, path: str | None = None, **fields: Any) -> ActiveRule:
        """
        Add a rule after the active ones.

        :param fault: The name of a fault.
        :param method: Only requests with this method.
        :param path: Only requests whose path matches this regular expression as a whole.
        :param fields: ``after``, ``times``, ``share``, and the parameters of the fault.
        :raises FaultError: If a field is wrong.
        """
        selection = {name: value for name, value in (("method", method), ("path", path)) if value is not None}
        return self._add(rule_of({"fault": fault, **selection, **fields}))

    def add_plan(self, plan: Iterable[Any]) -> list[ActiveRule]:
        """
        Add all rules of a plan, or none if one is wrong.

        :param plan: Rules such as ``"503 GET /v1/runs/.* times=2"`` or
            ``{"fault": "503", "method": "GET", "path": "/v1/runs/.*", "times": 2}``.
        :raises FaultError: If a field is wrong.
        """
        return [self._add(rule) for rule in rules_of(plan)]

    @contextmanager
    def of(self, fault: str, method: str | None = None, path: str | None = None, **fields: Any) -> Iterator[ActiveRule]:
        """Add a rule for the duration of a block. Takes the arguments of ``add``."""
        rule = self.add(fault, method, path, **fields)
        try:
            yield rule
        finally:
            self.remove(rule)

    def remove(self, rule: ActiveRule) -> None:
        """Remove a rule. The fault continues for requests that it already applies to."""
        with self._lock:
            if rule not in self.active:
                return
            self.active = tuple(other for other in self.active if other is not rule)
        if rule.rule.fault.applies_to == "service":
            self._set_port(rule, False)

    def clear(self) -> None:
        """Remove all rules."""
        for rule in self.active:
            self.remove(rule)

    def select(self, exchange: Exchange) -> ActiveRule | None:
        """Count a request, and return the rule that applies to it."""
        rules = [rule for rule in self.active if rule.matches(exchange)]
        return self._first_due(rules, exchange.request.method, exchange.request.scope["path"])

    def closes_connection(self) -> bool:
        """Count a new connection, and return whether to close it."""
        rules = [rule for rule in self.active if rule.rule.fault.applies_to == "connection"]
        return self._first_due(rules, "", "") is not None

    def _add(self, rule: Rule) -> ActiveRule:
        with self._lock:
            active = ActiveRule(rule, self._ids, self._added)
            self._added += 1
            self.active = (*self.active, active)
        if rule.fault.applies_to == "service":
            self._set_port(active, True)
        return active

    def _first_due(self, rules: list[ActiveRule], method: str, path: str) -> ActiveRule | None:
        with self._lock:
            due = [rule for rule in rules if rule.is_due(method, path)]
            if due:
                due[0].met += 1
            return due[0] if due else None
