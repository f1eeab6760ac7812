# SPDX-License-Identifier: Apache-2.0
"""The rules that select the requests that faults apply to, such as ``slow answer GET /v1/runs/.* seconds=3``."""

from __future__ import annotations

import random
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from pydantic import BaseModel, Field, InstanceOf, NonNegativeInt, PositiveInt, ValidationError, create_model
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from airflow_provider_agentruns.emulator.fault_table import FAULTS, Fault

_Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


class Rule(BaseModel):
    """
    A fault and the requests that it applies to. The parameters of the fault are fields too.

    :param after: The number of matching requests to leave unchanged first.
    :param times: The largest number of requests that the fault applies to.
    :param share: The probability that the fault applies to a matching request.
    :param seen: The number of matching requests so far, of which the fault applied to ``met``.
    """

    fault: InstanceOf[Fault]
    method: _Method | None = None
    path: re.Pattern[str] | None = None
    after: NonNegativeInt = 0
    times: PositiveInt | None = None
    share: float = Field(1.0, gt=0, le=1)
    seen: int = 0
    met: int = 0

    def matches(self, request: Request) -> bool:
        return (
            not self.fault.refuses
            and self.method in (None, request.method)
            and (self.path is None or self.path.fullmatch(request.scope["path"]) is not None)
            and re.fullmatch(self.fault.only, f"{request.method} {request.scope['path']}") is not None
        )

    async def apply(self, request: Request, call_next: RequestResponseEndpoint) -> Response | None:
        """Return the changed response, or None if the fault broke the connection."""
        parameters = {name: getattr(self, name) for name in self.fault.parameters}
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
        self.active: tuple[Rule, ...] = ()

    def add(self, rule: str, method: str | None = None, path: str | None = None, **fields: Any) -> Rule:
        """
        Add a rule.

        :param rule: The name of a fault, or a line of text such as ``503 GET /v1/runs/.* times=2``.
        :param method: The method of the requests.
        :param path: A regular expression for the whole path of the requests.
        :param fields: ``after``, ``times``, ``share``, and parameters of the fault.
        :raises ValueError: If a field is wrong.
        """
        selection = {name: value for name, value in (("method", method), ("path", path)) if value}
        added = rule_of(rule, **selection, **fields)
        with self._lock:
            self.active = (*self.active, added)
        self._on_change()
        return added

    @contextmanager
    def of(self, rule: str, method: str | None = None, path: str | None = None, **fields: Any) -> Iterator[Rule]:
        """Add a rule for a block. Takes the arguments of ``add``."""
        added = self.add(rule, method, path, **fields)
        try:
            yield added
        finally:
            self.remove(added)

    def remove(self, *rules: Rule) -> None:
        """Remove rules. Their faults continue for requests that they already apply to."""
        with self._lock:
            self.active = tuple(rule for rule in self.active if not any(rule is removed for removed in rules))
        self._on_change()

    def clear(self) -> None:
        """Remove all rules."""
        self.remove(*self.active)

    def select(self, request: Request) -> Rule | None:
        """Count a request, and return the rule that applies to it."""
        with self._lock:
            due = [rule for rule in self.active if rule.matches(request) and self._is_due(rule)]
            if due:
                due[0].met += 1
            return due[0] if due else None

    def _is_due(self, rule: Rule) -> bool:
        rule.seen += 1
        if rule.seen <= rule.after or (rule.times is not None and rule.met >= rule.times):
            return False
        return rule.share == 1 or self._random.random() < rule.share


@dataclass(slots=True)
class RecordedRequest:
    """One request, without its headers. It arrived at ``at``, by ``time.monotonic()``."""

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
        record = RecordedRequest(request.method, request.scope["path"], request.url.query, time.monotonic())
        self._requests.append(record)
        try:
            await request.body()
        except ClientDisconnect:
            return Response()
        rule = self._faults.select(request)
        record.fault = rule.fault.name if rule else None
        response = await rule.apply(request, call_next) if rule else await call_next(request)
        if response is None:
            return Response()
        record.status = response.status_code
        return response


def rule_of(line: str, **fields: Any) -> Rule:
    """Read one rule, and add fields. An error names the rule and the wrong field."""
    try:
        name, read = _read_line(line)
        return _rule(name, {**read, **fields})
    except ValidationError as invalid:
        [problem, *_] = invalid.errors()
        raise ValueError(f"rule {line!r:.200}: {problem['loc'][0]}: {problem['msg']}") from None
    except ValueError as error:
        raise ValueError(f"rule {line!r:.200}: {error}") from None


def _rule(name: str, fields: Mapping[str, Any]) -> Rule:
    if name not in FAULTS:
        raise ValueError(f"fault: no fault has the name {name!r}: the names are {', '.join(FAULTS)}")
    fault = FAULTS[name]
    names = [*(() if fault.refuses else ("method", "path", "after", "times", "share")), *fault.parameters]
    for unknown in fields.keys() - names:
        raise ValueError(f"{unknown}: is not a field of {name!r}: its fields are {', '.join(names) or 'none'}")
    return create_model(name, __base__=Rule, **cast("Any", fault.parameters))(fault=fault, **fields)


def _read_line(line: str) -> tuple[str, dict[str, Any]]:
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    words_of_name: list[str] = []
    fields: dict[str, Any] = {}
    for word in lexer:
        field_name, equals, value = word.partition("=")
        if word in get_args(_Method):
            fields["method"] = word
        elif word.startswith(("/", ".", "(")):
            fields["path"] = word
        elif equals:
            fields[field_name] = None if value == "null" else value
        elif fields:
            raise ValueError(f"{word!r} is not a field: fields are written name=value")
        else:
            words_of_name.append(word)
    return " ".join(words_of_name), fields
