# SPDX-License-Identifier: Apache-2.0
"""
Making a JSON schema flat enough for a form.

What generates schemas from classes, such as pydantic, refers to definitions in the schema itself and writes what
may be missing as a choice between a type and null. References that lead elsewhere are never followed.
"""

from __future__ import annotations

from typing import Any

#: How many references and choices are followed for one property; a schema may refer to itself.
_DEEPEST = 10


def flat(part: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """
    Return a property's schema with its references and its one real choice put in place.

    :param part: The property's schema.
    :param root: The whole schema, whose definitions the property may refer to.
    """
    nullable = False
    for _ in range(_DEEPEST):
        if isinstance(target := _referred(part.get("$ref"), root), dict):
            part = _merged(target, part, "$ref")
            continue
        for key in ("anyOf", "oneOf", "allOf"):
            choices = part.get(key)
            choices = choices if isinstance(choices, list) else []
            real = [one for one in choices if one != {"type": "null"}]
            if len(real) == 1 and isinstance(real[0], dict):
                nullable = nullable or len(real) < len(choices)
                part = _merged(real[0], part, key)
                break
        else:
            break
    return _or_null(part) if nullable else part


def _referred(reference: Any, root: dict[str, Any]) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = root
    for key in reference[2:].split("/"):
        found = found.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found


def _merged(inner: dict[str, Any], outer: dict[str, Any], followed: str) -> dict[str, Any]:
    """Put what stands beside a reference over what it leads to: a title of the property's own, say."""
    return {**inner, **{key: value for key, value in outer.items() if key != followed}}


def _or_null(part: dict[str, Any]) -> dict[str, Any]:
    kinds = part.get("type")
    if isinstance(kinds, str | list):
        return {**part, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}
    if isinstance(choices := part.get("enum"), list):
        return {**part, "enum": [*choices, None]}
    return part
