# SPDX-License-Identifier: Apache-2.0
"""
Reads plans of faults.

A plan is a list of entries. In JSON each is an object::

    [
        {"fault": "503", "method": "GET", "path": "/v1/runs/.*", "times": 2, "retry_after": 1},
        {"fault": "answer lost", "method": "POST", "path": "/v1/runs", "after": 1, "share": 0.5},
        "slow answer GET /v1/runs/.* seconds=3"
    ]

``fault`` is the name; ``method``, ``path``, ``after``, ``times`` and ``share`` say which requests it meets, and may
be left out; all other fields are parameters of the fault. The last entry is the short form: name, method, path, and
then fields, where method and path may be left out as well. A value with blanks is put into quotes.

In Python an entry may also be a :class:`.rules.Rule`, or a tuple of name, method, path and a mapping of fields, each of
which may be left out: ``("503", "GET", "/v1/runs/.*", {"times": 2})``.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from airflow_provider_agentruns.emulator.faults.base import FAULTS, RULE_WORDS, Fault, FaultError, parameters_of
from airflow_provider_agentruns.emulator.faults.rules import Rule

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


def read_plan(text: str) -> list[Rule]:
    """
    Read a plan that is written in JSON.

    :raises FaultError: If it is none; says which entry and which field is wrong.
    """
    try:
        plan = json.loads(text, object_pairs_hook=_Object)
    except (ValueError, RecursionError) as error:
        raise FaultError(f"not JSON: {error}") from None
    if not isinstance(plan, list):
        raise FaultError("a plan is a list of entries")
    return rules_of(plan)


def rules_of(plan: Iterable[Any]) -> list[Rule]:
    """
    Make the rules of a plan.

    :raises FaultError: If there is something wrong; says which entry and which field.
    """
    rules = []
    for number, entry in enumerate(plan, 1):
        try:
            rules.append(rule_of(entry))
        except FaultError as error:
            raise FaultError(f"entry {number}{_named(entry)}: {error}") from None
    return rules


def rule_of(entry: Any) -> Rule:
    """
    Make the rule of one entry.

    :raises FaultError: If there is something wrong; says which field.
    """
    match entry:
        case Rule():
            return entry
        case Fault():
            return Rule(fault=entry)
        case str():
            return _rule(_short_form(entry))
        case Mapping():
            return _rule(entry)
        case tuple() | list():
            return _rule(_tuple(tuple(entry)))
    raise FaultError(f"an entry is an object, a tuple or a text, not {entry!r}")


def _rule(entry: Mapping[str, Any]) -> Rule:
    if twice := getattr(entry, "twice", None):
        raise FaultError("is there twice", twice)
    if "fault" not in entry:
        raise FaultError("is missing", "fault")
    given = entry["fault"]
    fields = {name: value for name, value in entry.items() if name != "fault"}
    own = {name: fields.pop(name) for name in RULE_WORDS if name in fields}
    if isinstance(given, Fault):
        if fields:
            raise FaultError("goes into the fault itself", next(iter(fields)))
        return Rule(fault=given, **own)
    fault = _fault(given)
    known = [parameter.name for parameter in parameters_of(fault)]
    for name in fields:
        if name not in known:
            may_be = ", ".join([*RULE_WORDS[1:], *known])
            raise FaultError(f"is no field of {fault.name}; there are {may_be}", str(name))
    return Rule(fault=fault(**fields), **own)


def _fault(name: object) -> type[Fault]:
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str):
        raise FaultError(f"must be the name of a fault, not {name!r}", "fault")
    if name not in FAULTS:
        close = "".join(f"; is {other!r} meant?" for other in get_close_matches(name, FAULTS, 1))
        raise FaultError(f"there is no fault {name!r}{close}", "fault")
    return FAULTS[name]


def _tuple(entry: tuple[Any, ...]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if entry and isinstance(entry[-1], Mapping):
        entry, fields = entry[:-1], dict(entry[-1])
    if len(entry) > 3:
        raise FaultError(f"takes a name, a method, a path and a mapping of fields, not {entry[3]!r}", "a tuple")
    return {**dict(zip(RULE_WORDS, entry, strict=False)), **fields}


def _short_form(text: str) -> dict[str, Any]:
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        words = list(lexer)
    except ValueError as error:
        raise FaultError(f"cannot be read: {error}") from None
    name: list[str] = []
    entry: dict[str, Any] = {}
    for word in words:
        field, equals, value = word.partition("=")
        if word in _METHODS and "method" not in entry and "path" not in entry:
            entry["method"] = word
        elif word.startswith(("/", ".", "(")) and "path" not in entry:
            entry["path"] = word
        elif equals and field in entry:
            raise FaultError("is there twice", field)
        elif equals:
            entry[field] = value
        elif entry:
            raise FaultError(f"{word!r} is no field: they are written name=value")
        else:
            name.append(word)
    fault = _fault(" ".join(name))
    texts = {parameter.name for parameter in parameters_of(fault) if parameter.type in ("str", "str | None")}
    return {
        "fault": fault.name,
        **{field: value if field in texts else _value(value) for field, value in entry.items()},
    }


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _named(entry: Any) -> str:
    if isinstance(entry, tuple | list) and entry:
        entry = {"fault": entry[0]}
    name = entry.get("fault") if isinstance(entry, Mapping) else entry if isinstance(entry, str) else None
    return f" ({name})" if isinstance(name, str | int) else ""


class _Object(dict[str, Any]):
    """A JSON object that knows which name was in it twice, if any."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = next((name for name in names if names.count(name) > 1), None)
