# SPDX-License-Identifier: Apache-2.0
"""
The rules that select the requests that faults apply to. Tests add and remove them while the service is running.

A plan is a list of rules. A rule is a line of text, such as ``slow answer GET /v1/runs/.* seconds=3``.
"""

from __future__ import annotations

import json
import random
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from email.utils import formatdate
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from airflow_provider_agentruns.emulator.fault_table import FAULTS, Fault

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

_SELECTION: dict[str, Any] = {
    "method": {"type": ["string", "null"], "enum": [*_METHODS, None]},
    "path": {"type": ["string", "null"], "format": "regex"},
    "after": {"type": "integer", "minimum": 0},
    "times": {"type": ["integer", "null"], "minimum": 1},
    "share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
}


class FaultError(ValueError):
    """A rule or a plan is wrong."""


@dataclass(kw_only=True)
class Rule:
    """
    A fault and the requests that it applies to.

    :param path: A regular expression for the whole path.
    :param after: The number of matching requests to spare first.
    :param times: The largest number of requests that the fault applies to.
    :param share: The probability that the fault applies to a matching request.
    :param seen: The number of matching requests so far, of which the fault applied to ``met``.
    """

    fault: Fault
    method: str | None = None
    path: str | None = None
    after: int = 0
    times: int | None = None
    share: float = 1.0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seen: int = 0
    met: int = 0

    def matches(self, request: Request) -> bool:
        return (
            not self.fault.refuses
            and self.method in (None, request.method)
            and (self.path is None or re.fullmatch(self.path, request.scope["path"]) is not None)
            and self.fault.condition(request, self.parameters)
        )

    async def apply(self, request: Request, call_next: RequestResponseEndpoint) -> Response | None:
        """Return the changed response, or None if the fault broke the connection."""
        parameters = dict(self.parameters)
        taken = parameters.pop("taken", self.fault.carried_out)
        response = await call_next(request) if taken else None
        return await self.fault.effect(request, response, **parameters)


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
        return self._activate([_checked(_fault(fault), {**selection, **fields})])[0]

    def add_plan(self, plan: Iterable[str]) -> list[Rule]:
        """
        Add all rules of a plan, or none if one is wrong.

        :param plan: Rules such as ``503 GET /v1/runs/.* times=2``.
        :raises FaultError: If a field is wrong.
        """
        return self._activate([rule_of(line) for line in plan])

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
        return any(rule.fault.refuses for rule in self.active)

    def select(self, request: Request) -> Rule | None:
        """Count a request, and return the rule that applies to it."""
        with self._lock:
            due = [rule for rule in self.active if rule.matches(request) and self._is_due(rule)]
            if due:
                due[0].met += 1
            return due[0] if due else None

    def _activate(self, rules: list[Rule]) -> list[Rule]:
        with self._lock:
            self.active = (*self.active, *rules)
        self._on_change()
        return rules

    def _is_due(self, rule: Rule) -> bool:
        rule.seen += 1
        if rule.seen <= rule.after or (rule.times is not None and rule.met >= rule.times):
            return False
        return rule.share == 1 or self._random.random() < rule.share


@dataclass(slots=True)
class RecordedRequest:
    """
    One request, without its headers.

    :param query: The part after the question mark, not decoded.
    :param at: The time of arrival by ``time.monotonic()``.
    :param status: The status of the response. None until the response begins.
    :param fault: The name of the fault that applied.
    """

    method: str
    path: str
    query: str
    at: float
    status: int | None = None
    fault: str | None = None


class FaultMiddleware(BaseHTTPMiddleware):
    """Records each request, and applies the fault that is due."""

    def __init__(self, app: ASGIApp, faults: Faults, requests: list[RecordedRequest]) -> None:
        super().__init__(app)
        self._faults = faults
        self._requests = requests

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        query = request.scope["query_string"].decode()
        record = RecordedRequest(request.method, request.scope["path"], query, time.monotonic())
        self._requests.append(record)
        try:
            await request.body()
        except ClientDisconnect:
            return Response()
        response: Response | None
        if rule := self._faults.select(request):
            record.fault = rule.fault.name
            response = await rule.apply(request, call_next)
        else:
            response = await call_next(request)
        if response is None:
            return Response()
        record.status = response.status_code
        # The fault "clock skew" sets another date.
        response.headers.setdefault("date", formatdate(usegmt=True))
        return response


def rule_of(line: str) -> Rule:
    """Read one rule. An error names it and the wrong field."""
    try:
        return _checked(*_read_line(line))
    except ValueError as error:
        raise FaultError(f"rule {line!r:.200}: {error}") from None


def _checked(fault: Fault, fields: dict[str, Any]) -> Rule:
    schemas = {**({} if fault.refuses else _SELECTION), **fault.parameters}
    for name, value in fields.items():
        if name not in schemas:
            raise FaultError(f"{name}: is not a field of {fault.name!r}: its fields are {', '.join(schemas) or 'none'}")
        validator = Draft202012Validator(schemas[name], format_checker=FormatChecker())
        if problem := best_match(validator.iter_errors(value)):
            raise FaultError(f"{name}: {problem.message}")
    parameters = {name: fields.pop(name, schema["default"]) for name, schema in fault.parameters.items()}
    return Rule(fault=fault, parameters=parameters, **fields)


def _fault(name: str) -> Fault:
    if name not in FAULTS:
        close = "".join(f"; did you mean {other!r}?" for other in get_close_matches(name, FAULTS, 1))
        raise FaultError(f"fault: no fault has the name {name!r}{close}")
    return FAULTS[name]


def _read_line(line: str) -> tuple[Fault, dict[str, Any]]:
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    words_of_name: list[str] = []
    fields: dict[str, Any] = {}
    for word in lexer:
        field_name, equals, value = word.partition("=")
        if word in _METHODS:
            fields["method"] = word
        elif word.startswith(("/", ".", "(")):
            fields["path"] = word
        elif equals:
            fields[field_name] = value
        elif fields:
            raise FaultError(f"{word!r} is not a field: fields are written name=value")
        else:
            words_of_name.append(word)
    fault = _fault(" ".join(words_of_name))
    texts = {"method", "path", *(name for name, schema in fault.parameters.items() if schema["type"] == "string")}
    for name in fields.keys() - texts:
        with suppress(ValueError):
            fields[name] = json.loads(fields[name])
    return fault, fields
