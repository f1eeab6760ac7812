# SPDX-License-Identifier: Apache-2.0
"""
Reads plans: lists of rules. A rule is a JSON object or a line of text::

    [{"fault": "503", "method": "GET", "path": "/v1/runs/.*", "times": 2}, "slow answer GET /v1/runs/.* seconds=3"]
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match
from starlette.middleware.base import RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_agentruns.emulator.faults.table import FAULTS, Fault

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

_COUNTS: dict[str, Any] = {
    "after": {"type": "integer", "minimum": 0},
    "times": {"type": ["integer", "null"], "minimum": 1},
    "share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
}
_REQUESTS: dict[str, Any] = {
    "method": {"type": ["string", "null"], "enum": [*_METHODS, None]},
    "path": {"type": ["string", "null"], "format": "regex"},
}
_SELECTION = {"request": _REQUESTS | _COUNTS, "connection": _COUNTS, "service": {}}


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
    :param seen: The number of matching requests so far.
    :param met: The number of requests that the fault was applied to so far.
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
        """Return whether the rule selects a request."""
        return (
            self.fault.applies_to == "request"
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


def rule_of(entry: Any) -> Rule:
    """
    Read one rule.

    :raises FaultError: Names the rule and the wrong field.
    """
    try:
        if isinstance(entry, str):
            return _checked(*_read_line(entry))
        if isinstance(entry, Mapping):
            return _checked(_fault(entry.get("fault")), {name: entry[name] for name in entry if name != "fault"})
        raise FaultError(f"a rule is an object or a text, not {entry!r}")
    except ValueError as error:
        raise FaultError(f"rule {entry!r:.200}: {error}") from None


def _checked(fault: Fault, fields: dict[str, Any]) -> Rule:
    schemas = {**_SELECTION[fault.applies_to], **fault.parameters}
    for name, value in fields.items():
        if name not in schemas:
            raise FaultError(f"{name}: is not a field of {fault.name!r}: its fields are {', '.join(schemas) or 'none'}")
        validator = Draft202012Validator(schemas[name], format_checker=FormatChecker())
        if problem := best_match(validator.iter_errors(value)):
            raise FaultError(f"{name}: {problem.message}")
    parameters = {name: fields.pop(name, schema["default"]) for name, schema in fault.parameters.items()}
    return Rule(fault=fault, parameters=parameters, **fields)


def _fault(name: object) -> Fault:
    name = str(name)
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
