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

#: Keywords whose values are numbers.
LIMITS = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minLength", "maxLength", "minItems", "maxItems"),
)
_KEYWORDS = ("type", "enum", "const", "title", "description", "default", "format", "items", *LIMITS)


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
        found = {keyword: part[keyword] for keyword in _KEYWORDS if keyword in part} | found
        target = _target(part.get("$ref"), root)
        for keyword in ("anyOf", "oneOf", "allOf"):
            if target is None and isinstance(choices := part.get(keyword), list):
                real = [choice for choice in choices if choice != {"type": "null"}]
                target = real[0] if len(real) == 1 else None
                nullable = nullable or (target is not None and len(choices) > 1)
        if not isinstance(target, dict):
            break
        part = target
    if "const" in found:
        # Airflow's page hides a field with "const", and shows one with a single choice.
        found["enum"] = [found.pop("const")]
    kinds, choices = found.get("type"), found.get("enum")
    if nullable and isinstance(kinds, str | list):
        found["type"] = [*([kinds] if isinstance(kinds, str) else kinds), "null"]
    elif nullable and isinstance(choices, list):
        found["enum"] = [*choices, None]
    return found


def _target(reference: Any, root: dict[str, Any]) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = root
    for key in reference[2:].split("/"):
        found = found.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found
