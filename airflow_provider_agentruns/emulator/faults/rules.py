# SPDX-License-Identifier: Apache-2.0
"""Which requests a fault meets: rules, and what those in force have met."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass

from airflow_provider_agentruns.emulator.faults.base import Fault, FaultError, check
from airflow_provider_agentruns.emulator.faults.messages import Incoming
from airflow_provider_agentruns.emulator.ids import Ids

_METHOD = re.compile(r"[A-Z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    A fault, and which requests it meets.

    :param method: Only requests with this method; None for any.
    :param path: Only requests whose path matches this regular expression as a whole; None for any.
    :param after: So many requests that fit come through first.
    :param times: How often it happens; None for always.
    :param share: The probability that it meets a request that fits. The n-th request to a path has the same fate
        whenever the seed is the same, in whatever order requests come.
    :raises FaultError: If a field is wrong.
    """

    fault: Fault
    method: str | None = None
    path: str | None = None
    after: int = 0
    times: int | None = None
    share: float = 1.0

    def __post_init__(self) -> None:
        """Check the fields."""
        if not isinstance(self.fault, Fault):
            raise FaultError(f"must be a fault, not {self.fault!r}", "fault")
        check("method", self.method, str | None)
        check("path", self.path, str | None)
        check("after", self.after, int, 0)
        check("times", self.times, int | None, 1)
        check("share", self.share, float)
        if not 0 < self.share <= 1:
            raise FaultError(f"must be above 0, and 1 at most, not {self.share!r}", "share")
        if self.method is not None and not _METHOD.fullmatch(self.method):
            raise FaultError(f"must be a method in capitals, not {self.method!r}", "method")
        try:
            re.compile(self.path or "")
        except re.error as error:
            raise FaultError(f"must be a regular expression: {error}", "path") from None
        self._check_what_it_meets()

    def _check_what_it_meets(self) -> None:
        meets = self.fault.meets
        given = {"method": self.method is not None, "path": self.path is not None}
        if meets == "service":
            given |= {"after": self.after != 0, "times": self.times is not None, "share": self.share != 1}
        for field, is_given in given.items():
            if meets != "request" and is_given:
                raise FaultError(f"means nothing for the fault {self.fault.name}, which meets a {meets}", field)


class InForce:
    """A rule that is in force, and what it has met so far."""

    def __init__(self, rule: Rule, ids: Ids, number: int) -> None:
        self.rule = rule
        #: Since when, by ``time.monotonic()``.
        self.since = time.monotonic()
        #: How many requests fitted it.
        self.seen = 0
        #: How many of them it has met.
        self.met = 0
        self._path = None if rule.path is None else re.compile(rule.path)
        self._ids = ids
        self._number = number
        self._by_path: Counter[tuple[str, str]] = Counter()

    def fits(self, request: Incoming) -> bool:
        """Whether a request is one of those that it is for."""
        return (
            self.rule.fault.meets == "request"
            and self.rule.method in (None, request.method)
            and (self._path is None or self._path.fullmatch(request.path) is not None)
            and self.rule.fault.applies(request, self.since)
        )

    def is_due(self, method: str, path: str) -> bool:
        """Count a request that fits, and say whether it should be met."""
        self.seen += 1
        self._by_path[method, path] += 1
        if self.seen <= self.rule.after or (self.rule.times is not None and self.met >= self.rule.times):
            return False
        if self.rule.share == 1:
            return True
        lot = self._ids.rng("fault", self._number, method, path, self._by_path[method, path])
        return lot.random() < self.rule.share

    def __repr__(self) -> str:
        """Show the rule and what it has met."""
        return f"<{self.rule}: met {self.met} of {self.seen}>"
