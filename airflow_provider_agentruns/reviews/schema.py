# SPDX-License-Identifier: Apache-2.0
"""
Simplifies a property of an agent's JSON schema to what a form needs.

Generators of schemas, such as pydantic, refer to definitions inside the schema, and write an optional value as a
choice between a type and null. References outside the schema are never followed. Only known keywords are copied,
which bounds the memory for a large schema.
"""

from __future__ import annotations

from typing import Any

#: How many references and choices are followed for one property. A schema can refer to itself.
_MAX_STEPS = 10

#: Keywords whose values are numbers, and non-negative integers.
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
COUNTS = ("minLength", "maxLength", "minItems", "maxItems")
_KEYWORDS = (
    *("type", "enum", "const", "title", "description", "default", "format", "pattern", "items", "examples"),
    *(*BOUNDS, *COUNTS),
)


def simplify(part: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """
    Return the known keywords of a property's schema, with references and its only real choice resolved.

    What stands beside a reference wins over what the reference leads to, for example a title of the property's own.

    :param part: The property's schema.
    :param root: The complete schema, whose definitions the property can refer to.
    """
    found: dict[str, Any] = {}
    nullable = False
    for _ in range(_MAX_STEPS):
        for keyword in _KEYWORDS:
            if keyword in part:
                found.setdefault(keyword, part[keyword])
        if not isinstance(target := _target(part.get("$ref"), root), dict):
            target, may_be_null = _only_choice(part)
            nullable = nullable or may_be_null
        if target is None:
            break
        part = target
    return _with_null(found) if nullable else found


def _target(reference: Any, root: dict[str, Any]) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = root
    for key in reference[2:].split("/"):
        found = found.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found


def _only_choice(part: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    """Return the only choice besides null, and whether null is one."""
    for keyword in ("anyOf", "oneOf", "allOf"):
        choices = part.get(keyword)
        if isinstance(choices, list):
            real = [choice for choice in choices if choice != {"type": "null"}]
            if len(real) == 1 and isinstance(real[0], dict):
                return real[0], len(real) < len(choices)
    return None, False


def _with_null(part: dict[str, Any]) -> dict[str, Any]:
    kinds, choices = part.get("type"), part.get("enum")
    if isinstance(kinds, str | list):
        return {**part, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}
    return {**part, "enum": [*choices, None]} if isinstance(choices, list) else part
