# SPDX-License-Identifier: Apache-2.0
"""Draws everything that the schemas of the contract allow, with unknown fields in every object."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from tests.emulator.contract import CONTRACT

_SCHEMAS = CONTRACT["components"]["schemas"]

TEXT = st.text(max_size=20)

#: Names with a meaning in the models, pydantic, or Python.
_LOADED_NAMES = st.sampled_from(
    [
        *("data", "left_out", "raw_output", "pending", "label", "finished", "__class__", "__dict__", "self"),
        *("model_config", "model_extra", "model_fields", "model_dump", "copy", "json", "id", "status", "agent"),
    ]
)

NAMES = st.text(max_size=12) | _LOADED_NAMES

NUMBERS = st.integers(-(2**40), 2**40) | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)

SCALARS = st.none() | st.booleans() | NUMBERS | TEXT

#: Any JSON value.
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=5,
)

_OFFSETS = st.sampled_from(["Z", "+00:00", "-00:00", "+02:00", "-11:30", "+14:00"])


@st.composite
def _instants(draw: st.DrawFn) -> str:
    """Draw an RFC 3339 date-time with up to microseconds; a leap second is left out, which no clock here knows."""
    moment = draw(st.datetimes(datetime(1970, 1, 2), datetime(2199, 1, 1)))
    digits = draw(st.integers(0, 6))
    fraction = f".{moment.microsecond:06}"[: digits + 1] if digits else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{draw(_OFFSETS)}"


_FORMATS = {
    "uuid": st.uuids().map(str),
    "date-time": _instants(),
    "uri": st.sampled_from(["https://example.com/a?b=c#d", "urn:x:y", "file:///etc/hosts", "https://exämple.com/ü"]),
}


@functools.cache
def of(name: str) -> st.SearchStrategy[Any]:
    # Deferred, because a step contains steps.
    return st.deferred(lambda: of_schema(json.dumps(_SCHEMAS[name])))


@functools.cache
def of_schema(text: str) -> st.SearchStrategy[Any]:
    """Draw what a schema allows. As JSON text, a schema can be a key of the cache."""
    schema = json.loads(text)
    if ref := schema.get("$ref"):
        return of(ref.rpartition("/")[2])
    if "oneOf" in schema:
        return st.one_of([of_schema(json.dumps(each)) for each in schema["oneOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    kinds = schema["type"] if isinstance(schema.get("type"), list) else [schema.get("type")]
    return st.one_of([_of_kind(kind, schema) for kind in kinds])


def _of_kind(kind: str | None, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    match kind:
        case "object":
            return _objects(schema)
        case "array":
            return st.lists(of_schema(json.dumps(schema["items"])), max_size=2)
        case "string":
            return _FORMATS.get(schema.get("format", ""), TEXT)
        case "integer":
            return st.integers(0, 10**9)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case None:
            return VALUES
    raise ValueError(f"unknown type in the contract: {kind}")


def _objects(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: of_schema(json.dumps(each)) for name, each in schema.get("properties", {}).items()}
    required = set(schema.get("required", ()))
    known = st.fixed_dictionaries(
        {name: each for name, each in fields.items() if name in required},
        optional={name: each for name, each in fields.items() if name not in required},
    )
    unknown = NAMES.filter(lambda name: name not in fields)
    more: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.dictionaries(unknown, VALUES, max_size=2)
    return st.tuples(more, known).map(lambda both: {**both[0], **both[1]})


RUNS = of("Run")
RUN_LISTS = of("RunList")

#: Runs with questions.
INTERRUPTED = st.tuples(RUNS, st.lists(of("Interrupt"), min_size=1, max_size=2)).map(
    lambda both: {**both[0], "status": "interrupted", "interrupts": both[1]}
)

#: Runs that are completed, with an output.
COMPLETED = st.tuples(RUNS, of("Output")).map(lambda both: {**both[0], "status": "completed", "output": both[1]})


def with_small_numbers(value: Any) -> Any:
    """Reduce integers that msgpack, and therefore Airflow, cannot send."""
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return value % 2**63
    if isinstance(value, list):
        return [with_small_numbers(each) for each in value]
    return {key: with_small_numbers(each) for key, each in value.items()} if isinstance(value, dict) else value


@st.composite
def sloppy(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> Any:
    """Draw a document that breaks the contract: nulls, new statuses, values of any kind."""
    document = draw(documents)
    for _ in range(draw(st.integers(1, 3))):
        if places := list(places_in(document)):
            holder, key = draw(st.sampled_from(places))
            holder[key] = draw(st.none() | st.sampled_from(["paused", "", "running"]) | VALUES)
    return document


def places_in(part: Any) -> Iterator[tuple[Any, Any]]:
    keys = part.keys() if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
    for key in keys:
        yield part, key
        yield from places_in(part[key])


def instant(text: str) -> datetime:
    """Parse a time with the standard library, to compare it with what the package reads."""
    moment = datetime.fromisoformat(text)
    # Python knows no -00:00; both are UTC.
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=timezone(timedelta()))
