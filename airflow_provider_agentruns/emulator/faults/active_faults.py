# SPDX-License-Identifier: Apache-2.0
"""The active rules, which tests add and remove while the service is running."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request

from airflow_provider_agentruns.emulator.faults.plan import Rule, rule_of


class Faults:
    """
    The active rules. The first rule that is due applies to a request.

    Each rule counts all requests that match it, even if another rule applies. All methods are thread-safe.

    :param seed: Selects the requests of rules with a ``share``.
    :param on_change: Called after each change of the active rules.
    """

    def __init__(self, seed: int, on_change: Callable[[], None]) -> None:
        self._random = random.Random(seed)  # noqa: S311 -- nothing here is secret
        self._on_change = on_change
        self._lock = threading.Lock()
        #: The active rules.
        self.active: tuple[Rule, ...] = ()

    def add(self, fault: str, method: str | None = None, path: str | None = None, **fields: Any) -> Rule:
        """
        Add a rule.

        :param fault: The name of a fault.
        :param method: Only requests with this method.
        :param path: Only requests whose path matches this regular expression as a whole.
        :param fields: ``after``, ``times``, ``share``, and parameters of the fault.
        :raises FaultError: If a field is wrong.
        """
        selection = {name: value for name, value in (("method", method), ("path", path)) if value}
        return self.add_plan([{"fault": fault, **selection, **fields}])[0]

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
        """Add a rule for a block. Takes the arguments of ``add``."""
        rule = self.add(fault, method, path, **fields)
        try:
            yield rule
        finally:
            self.remove(rule)

    def remove(self, *rules: Rule) -> None:
        """Remove rules. Their faults continue for requests that they already apply to."""
        with self._lock:
            self.active = tuple(rule for rule in self.active if not any(rule is removed for removed in rules))
        self._on_change()

    def clear(self) -> None:
        """Remove all rules."""
        self.remove(*self.active)

    @property
    def refuses_connections(self) -> bool:
        """Whether an active rule makes the service unreachable."""
        return any(rule.fault.applies_to == "service" for rule in self.active)

    def select(self, request: Request) -> Rule | None:
        """Count a request, and return the rule that applies to it."""
        return self._first_due([rule for rule in self.active if rule.matches(request)])

    def closes_connection(self) -> bool:
        """Count a new connection, and return whether to close it."""
        return self._first_due([rule for rule in self.active if rule.fault.applies_to == "connection"]) is not None

    def _first_due(self, rules: list[Rule]) -> Rule | None:
        with self._lock:
            due = [rule for rule in rules if self._is_due(rule)]
            if due:
                due[0].met += 1
            return due[0] if due else None

    def _is_due(self, rule: Rule) -> bool:
        rule.seen += 1
        if rule.seen <= rule.after or (rule.times is not None and rule.met >= rule.times):
            return False
        return rule.share == 1 or self._random.random() < rule.share
