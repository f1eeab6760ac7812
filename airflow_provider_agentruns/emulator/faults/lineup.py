# SPDX-License-Identifier: Apache-2.0
"""The rules in force: added and taken away while the service is up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_agentruns.emulator.faults.base import Fault
from airflow_provider_agentruns.emulator.faults.messages import Incoming
from airflow_provider_agentruns.emulator.faults.plan import rule_of, rules_of
from airflow_provider_agentruns.emulator.faults.rules import InForce, Rule
from airflow_provider_agentruns.emulator.ids import Ids


class Faults:
    """
    The rules in force, as they stand in line: the first that is due meets a request.

    All rules count each request that fits them, also one that another rule meets. May be used from any thread.

    :param seed: Another seed lets ``share`` choose others.
    :param switch: Called with whether nothing shall listen.
    """

    def __init__(self, seed: int = 0, switch: Callable[[bool], None] = lambda off: None) -> None:
        self._ids = Ids(seed)
        self._switch = switch
        self._lock = threading.Lock()
        self._rules: tuple[InForce, ...] = ()
        self._added = 0

    def add(self, fault: str | Fault, method: str | None = None, path: str | None = None, **fields: Any) -> InForce:
        """
        Put a fault in force, behind those that are.

        :param fault: The name of a built-in one, or one that has been made already.
        :param method: Only requests with this method.
        :param path: Only requests whose path matches this regular expression as a whole.
        :param fields: ``after``, ``times`` and ``share`` of the rule, and the parameters of the fault.
        :raises FaultError: If something of it is wrong.
        """
        return self._put(rule_of({"fault": fault, "method": method, "path": path, **fields}))

    def add_plan(self, plan: Iterable[Any]) -> list[InForce]:
        """
        Put a whole plan in force, or nothing of it.

        :param plan: Its entries: rules, mappings, tuples or short forms; see ``plan``.
        :raises FaultError: If something of it is wrong.
        """
        return [self._put(rule) for rule in rules_of(plan)]

    @contextmanager
    def of(
        self, fault: str | Fault, method: str | None = None, path: str | None = None, **fields: Any
    ) -> Iterator[InForce]:
        """Put a fault in force for as long as the block lasts; takes what ``add`` takes."""
        rule = self.add(fault, method, path, **fields)
        try:
            yield rule
        finally:
            self.remove(rule)

    def remove(self, rule: InForce) -> None:
        """Take a rule out of force; a request that it has met already stays met."""
        with self._lock:
            if rule not in self._rules:
                return
            self._rules = tuple(other for other in self._rules if other is not rule)
        if rule.rule.fault.meets == "service":
            self._switch(False)

    def clear(self) -> None:
        """Take all rules out of force."""
        for rule in self.in_force:
            self.remove(rule)

    @property
    def in_force(self) -> tuple[InForce, ...]:
        """The rules in force, in their order."""
        return self._rules

    def meeting(self, request: Incoming) -> InForce | None:
        """Count a request, and find the rule that meets it."""
        return self._first([rule for rule in self._rules if rule.fits(request)], request.method, request.path)

    def closes_connection(self) -> bool:
        """Count a connection, and say whether a rule meets it."""
        rules = [rule for rule in self._rules if rule.rule.fault.meets == "connection"]
        return self._first(rules, "", "") is not None

    def _put(self, rule: Rule) -> InForce:
        with self._lock:
            added = InForce(rule, self._ids, self._added)
            self._added += 1
            self._rules = (*self._rules, added)
        if rule.fault.meets == "service":
            self._switch(True)
        return added

    def _first(self, rules: list[InForce], method: str, path: str) -> InForce | None:
        with self._lock:
            due = [rule for rule in rules if rule.is_due(method, path)]
            if due:
                due[0].met += 1
            return due[0] if due else None
