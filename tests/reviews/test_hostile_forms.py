# SPDX-License-Identifier: Apache-2.0
"""No schema that an agent sends breaks the form, hides what is sent, or makes Airflow fetch or compute anything."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import pytest

from airflow_provider_agentruns.reviews.answer_schema import (
    DEFAULT_LENGTH,
    DESCRIPTION_LENGTH,
    MAX_CHOICES,
    MAX_FIELDS,
    NAME_LENGTH,
    rated_artifact,
)
from tests.reviews.forms import OPTIONS, answer, asks, fields_of, form_of, schema_of

#: JSON where something else is expected.
ODD = [
    *(None, True, False, 0, -1, 1.5, 10**30, float("nan"), float("inf"), "", "x", "\ud800", "\u202etxet"),
    *([], [None], [[]], [{}], ["a", {"b": 1}], {}, {"a": {"b": []}}, {"$ref": "#"}),
]  # fmt: skip

KEYWORDS = [
    *("type", "enum", "const", "title", "description", "default", "format", "pattern", "items", "examples"),
    *("minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minItems", "maxItems", "uniqueItems", "properties", "required", "additionalProperties"),
    *("$ref", "$defs", "$schema", "$id", "allOf", "anyOf", "oneOf", "not", "if", "dependentSchemas"),
    *("custom_html_form", "description_md", "values_display", "section", "schema", "source"),
]  # fmt: skip


def test_no_keyword_breaks_the_form() -> None:
    for keyword in KEYWORDS:
        for odd in ODD:
            parts = [{"type": kind, keyword: odd} for kind in ("array", "integer")]
            properties = {str(number): part for number, part in enumerate([*parts, {keyword: odd}])}
            assert list(fields_of(properties, required=["0"])) == ["0", "1", "2"]
            schema = {"properties": {"list": {"type": "array", "items": parts[0]}}, keyword: odd}
            form_of(schema)
            schema_of(schema).option_values(OPTIONS)
            answer(schema, "approve", {"list": 1})


REFERENCES = ["https://evil.example/s.json", "file:///etc/passwd", "#/$defs/a", "#", "#/$defs/0/1", "#/properties", 5]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("reference", REFERENCES)
def test_no_reference_leads_outside_or_in_circles(reference: Any) -> None:
    # Airflow's validation would fetch it.
    nested = {"type": "array", "items": {"$ref": reference, "items": {"$ref": reference}}, "default": ["x"]}
    definitions = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}}
    fields = fields_of({"one": {"$ref": reference, "title": "T"}, "many": nested}, **definitions)
    assert fields["one"] == {"default": None, "title": "T", "type": ["string", "null"]}
    assert fields["many"]["items"] == {}
    form_of({"$ref": reference, **definitions})


def test_shared_references_in_a_large_schema_cost_little_memory() -> None:
    names = [f"k{number}" for number in range(20_000)]
    definition = {**dict.fromkeys(names, 1), "enum": names, "default": "x" * 500_000, "type": "string"}
    schema = {
        "properties": {name: {"$ref": "#/$defs/a", "title": "T"} for name in names},
        "$defs": {"a": {"$ref": "#/$defs/b", **dict.fromkeys(names)}, "b": definition},
    }
    started = time.monotonic()
    tracemalloc.start()
    fields = schema_of(schema).fields(OPTIONS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(fields) == MAX_FIELDS
    assert peak < 30_000_000
    assert len(json.dumps(fields)) < 100_000
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("part", "bad"),
    [
        ({"type": "integer"}, "many"),
        ({"type": "string"}, {"a": 1}),
        ({"type": "array", "items": {"type": "string"}}, [1]),
        ({"enum": ["S", "L"]}, "XL"),
        ({"type": "string", "maxLength": 3}, "long"),
        ({"type": "number"}, float("nan")),
        ({"type": "string"}, "\ud800"),
        # A browser would round it, and send that.
        ({"type": "integer"}, 2**53),
        ({"type": "array", "items": {"type": "integer"}}, [-(2**53)]),
        ({"type": "string"}, "x" * DEFAULT_LENGTH),
    ],
)
def test_a_default_that_is_invalid_or_cannot_be_stored_is_dropped(part: dict[str, Any], bad: Any) -> None:
    assert fields_of({"field": {**part, "default": bad}})["field"]["default"] is None


@pytest.mark.parametrize(
    "choices",
    [
        *([], "ab", {"a": 1}, [{"a": 1}, {"b": 1}], [["a"], ["b"]], ["1", 1], [True, "true"], ["a", "a"]),
        *(["no", "n\u200bo"], ["\u202eon", "yes"], ["a\nb"], ["x" * 201], ["\ud800"], [float("nan")]),
        *([*map(str, range(MAX_CHOICES + 1))],),
    ],
)
def test_choices_that_look_the_same_become_a_text_field(choices: Any) -> None:
    # Airflow's page shows each as text, and sends the first with that text.
    assert fields_of({"size": {"enum": choices, "type": "string"}}, required=["size"]) == {
        "size": {"default": None, "type": "string"}
    }


def test_integers_that_a_browser_rounds_are_no_choices_and_no_limits() -> None:
    part = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
    assert fields_of({"id": {**part, "enum": [2**53, 2**53 + 1]}}, required=["id"])["id"] == {
        "default": None,
        "minimum": 1,
        "type": "integer",
    }
    assert fields_of({"id": {"default": 2**53 - 1, "type": "integer"}})["id"]["default"] == 2**53 - 1


def test_names_with_a_meaning_are_not_the_agents() -> None:
    names = ["_options", "__proto__", "_rating", "interrupt_id", "chosen_options"]
    assert fields_of({name: {"default": "Approve"} for name in names}) == {}
    # "password" would hide what is sent.
    assert fields_of({"rating": {"type": "string", "format": "password"}})["rating"].keys() == {"default", "type"}


def test_any_other_name_is_a_field_and_returns_in_the_answer() -> None:
    for name in ("a.b.c", "with space", "ünï✓", "constructor", "a" * 198, "<b>", "{{ 7*7 }}", "[0]"):
        schema = {"type": "object", "properties": {name: {"type": "string"}}, "additionalProperties": False}
        assert list(form_of(schema)) == [name]
        assert "title" not in form_of(schema)[name]
        assert answer(schema, "approve", {name: "x"}) == {name: "x"}
    for name, title in (("", "(no name)"), ("\u202etxet", "txet"), ("a\n\nb", "a b")):
        assert fields_of({name: {}})[name]["title"] == title


def test_titles_and_descriptions_are_one_short_line() -> None:
    field = fields_of({"note": {"title": "a\u202eb\n" * 10_000, "description": "\ud800 c\n" * 10_000}})["note"]
    assert (len(field["title"]), len(field["description"])) == (NAME_LENGTH, DESCRIPTION_LENGTH)
    assert set(field["title"] + field["description"]) == set("abc \ufffd…")


def test_the_number_of_fields_is_limited_and_what_cannot_be_stored_is_left_out() -> None:
    many = {f"p{number}": {} for number in range(1_000)}
    assert list(fields_of(many)) == [f"p{n}" for n in range(MAX_FIELDS)]
    assert schema_of({"properties": {"decision": {}, **many}}).missing_fields(OPTIONS) == 1_000 - MAX_FIELDS
    assert (
        schema_of({"properties": {"note": {}}}).missing_fields(OPTIONS) == schema_of(None).missing_fields(OPTIONS) == 0
    )
    for name in ("x" * 10_000, "\ud800"):
        assert list(fields_of({name: {}, "note": {}}, required=[name])) == ["note"]


def test_depth_does_not_matter() -> None:
    for keyword in ("properties", "items", "default", "enum", "const", "examples", "title", "type"):
        for name in ("properties", "items", "x"):
            deep: Any = {"type": "string"}
            for _ in range(5_000):
                deep = {name: deep}
            fields_of({"note": {"type": "object", keyword: deep}})
            fields_of({"note": {"type": "array", keyword: [deep]}})
            form_of({keyword: deep})
            rated_artifact(asks({"artifacts": [deep], "proposals": [deep]}))
