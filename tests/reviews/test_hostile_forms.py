# SPDX-License-Identifier: Apache-2.0
"""No schema that an agent sends breaks the form, hides what is sent, or makes Airflow fetch or compute for it."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest

from airflow_provider_agentruns.reviews.form import (
    ANSWER,
    DEFAULT_LENGTH,
    DESCRIPTION_LENGTH,
    MOST_CHOICES,
    MOST_FIELDS,
    NAME_LENGTH,
    SCHEMA_KEYS,
    answer_by_schema,
    answer_schema,
    form_fields,
    option_values,
    rated_artifact,
)
from tests.reviews.forms import OPTIONS, accepts, asks, fields_of, form_of

#: What stands in JSON where something else is expected.
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

ENDLESS = r"^(([a-z])+.)+[A-Z]([a-z])+$"


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_keyword_that_makes_no_sense_leaves_a_form_that_works(keyword: str) -> None:
    for odd in ODD:
        parts = [{"type": kind, keyword: odd} for kind in ("array", "integer")]
        properties = {str(number): part for number, part in enumerate([*parts, {keyword: odd}])}
        assert list(fields_of(properties, required=["0"])) == ["0", "1", "2"]
        form_of({"properties": {"list": {"type": "array", "items": parts[0]}}, keyword: odd})


@pytest.mark.parametrize("kind", [None, "date", ["date"], ["string", "string"], [{}], [["string"]], [], 7])
def test_a_type_that_there_is_not_is_a_text(kind: Any) -> None:
    assert fields_of({"note": {"type": kind}}, required=["note"])["note"]["type"] == "string"


@pytest.mark.parametrize("wanted", [None, "note", True, {"note": True}, [["note"], {"note": 1}, 7]])
def test_a_list_of_what_is_required_that_is_none_requires_nothing(wanted: Any) -> None:
    assert accepts(fields_of({"note": {"type": "string"}}, required=wanted)["note"], None)


@pytest.mark.parametrize("part", [None, False, "string", 7, ["string"]])
def test_what_is_no_schema_is_no_field(part: Any) -> None:
    assert list(fields_of({"note": part, "why": {}})) == ["why"]
    assert fields_of(part) == {}


@pytest.mark.parametrize(
    "url", ["https://evil.example/s.json", "file:///etc/passwd", "#/$defs/a", "#", "//evil.example"]
)
def test_a_reference_leads_nowhere(url: str) -> None:
    # Airflow's validation would fetch it.
    nested = {"type": "array", "items": {"$ref": url, "items": {"$ref": url}}, "default": ["x"]}
    definitions = {"$defs": {"a": {"$ref": "#/$defs/a"}}}
    fields = fields_of({"one": {"$ref": url}, "many": nested}, **definitions)
    assert fields["many"]["items"] == {}
    form_of({"$ref": url, **definitions})
    form_of(nested)


@pytest.mark.parametrize("pattern", [ENDLESS, "(", "[z-a]", "(?P<x>", "a{99999999999}", "^(a+)+$"])
def test_a_pattern_is_a_hint_and_never_run(pattern: str) -> None:
    begun = time.monotonic()
    long = "a" * 5_000 + "!"
    part = {"type": "string", "pattern": pattern, "description": "As in the registry.", "default": long}
    field = fields_of({"id": part, "ids": {"type": "array", "items": part, "default": [long]}})["id"]
    assert field["description"] == f"As in the registry. Pattern: {pattern}"
    assert field["default"] == long
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    ("part", "bad"),
    [
        ({"type": "integer"}, "many"),
        ({"type": "string"}, {"a": 1}),
        ({"type": "boolean"}, "true"),
        ({"type": "array", "items": {"type": "string"}}, [1]),
        ({"enum": ["S", "L"]}, "XL"),
        ({"type": "string", "maxLength": 3}, "long"),
        ({"type": "integer"}, 2**53 + 1),
        ({"type": "number"}, float("nan")),
        ({"type": "string"}, "\ud800"),
        ({"type": "string"}, "x" * DEFAULT_LENGTH),
        ({"type": "object"}, {"a": 10**400}),
    ],
)
def test_a_default_that_does_not_fit_or_cannot_be_kept_is_none(part: dict[str, Any], bad: Any) -> None:
    assert fields_of({"field": {**part, "default": bad}})["field"]["default"] is None


def test_nothing_is_typed_unseen() -> None:
    assert "format" not in fields_of({"note": {"type": "string", "format": "password"}})["note"]


@pytest.mark.parametrize(
    "choices",
    [
        *([], "ab", {"a": 1}, [{"a": 1}, {"b": 1}], [["a"], ["b"]], ["1", 1], [True, "true"], ["a", "a"]),
        *(["no", "n\u200bo"], ["\u202eon", "yes"], ["a\nb"], ["x" * 301], ["\ud800"], [float("nan")], [10**30]),
        *([*map(str, range(MOST_CHOICES + 1))],),
    ],
)
def test_values_that_nobody_could_tell_apart_are_typed_instead(choices: Any) -> None:
    # Airflow's page shows each as text, and sends the first whose text it is.
    assert fields_of({"size": {"enum": choices, "type": "string"}}, required=["size"]) == {
        "size": {"default": None, "type": "string"}
    }


def test_names_that_mean_something_to_airflow_or_to_us_are_no_fields_of_the_agents() -> None:
    names = ["_options", "__proto__", "_rating", "interrupt_id", "chosen_options"]
    assert fields_of({name: {"default": "Approve"} for name in names}) == {}


def test_a_rating_that_the_agent_asks_for_is_its_own() -> None:
    assert list(fields_of({"rating": {"type": "integer"}})) == ["rating"]


@pytest.mark.parametrize("name", ["a.b.c", "with space", "ünï✓", "constructor", "a" * 198, "<b>", "{{ 7*7 }}", "[0]"])
def test_any_other_name_is_a_field_and_comes_back_in_the_answer(name: str) -> None:
    schema = {"type": "object", "properties": {name: {"type": "string"}}, "additionalProperties": False}
    assert list(form_of(schema)) == [name]
    assert "title" not in form_of(schema)[name]
    assert answer_by_schema(schema, "approve", {name: "x"}, {}) == {name: "x"}


@pytest.mark.parametrize(("name", "title"), [("", "(no name)"), ("\u202etxet", "txet"), ("a\n\nb", "a b")])
def test_a_name_that_does_not_read_as_it_is_gets_a_title_that_does(name: str, title: str) -> None:
    assert fields_of({name: {}})[name]["title"] == title


def test_titles_and_descriptions_are_one_line_of_a_bearable_length() -> None:
    field = fields_of({"note": {"title": "a\u202eb\n" * 10_000, "description": "\ud800 c\n" * 10_000}})["note"]
    assert (len(field["title"]), len(field["description"])) == (NAME_LENGTH, DESCRIPTION_LENGTH)
    assert set(field["title"] + field["description"]) == set("abc \ufffd…")
    field = fields_of({"note": {"title": {"en": "Note"}, "description": ["Note"]}})["note"]
    assert not {"title", "description"} & {*field}


def test_of_a_thousand_fields_those_are_shown_that_are_required_and_the_last_says_so() -> None:
    begun = time.monotonic()
    properties = {f"p{number}": {"description": "What?"} for number in range(1_000)}
    fields = fields_of(properties, required=["p999", "p500"])
    assert list(fields) == [*(f"p{number}" for number in range(MOST_FIELDS - 2)), "p500", "p999"]
    assert fields["p999"]["description"] == "What? Not shown: 950 more fields."
    assert fields["p500"]["description"] == "What?"
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("name", ["x" * 10_000, "\ud800"])
def test_a_name_that_cannot_be_kept_is_left_out_and_told_of(name: str) -> None:
    fields = fields_of({name: {}, "note": {}}, required=[name])
    assert list(fields) == ["note"]
    assert fields["note"]["description"] == "Not shown: 1 more fields."


@pytest.mark.parametrize("keyword", ["properties", "items", "default", "enum", "const", "examples", "title", "type"])
def test_depth_is_no_matter(keyword: str) -> None:
    for name in ("properties", "items", "x"):
        deep: Any = {"type": "string"}
        for _ in range(5_000):
            deep = {name: deep}
        fields_of({"note": {"type": "object", keyword: deep}})
        fields_of({"note": {"type": "array", keyword: [deep]}})
        form_of({keyword: deep})
        rated_artifact(asks({"artifacts": [deep], "proposals": [deep]}))


def test_whatever_an_interrupt_holds_the_form_comes_about() -> None:
    chance = random.Random(20417)  # noqa: S311
    sizes = []
    for _ in range(1_000):
        value = _any_json(chance, 5)
        schema = answer_schema(asks(value))
        rated_artifact(asks(value))
        sizes.append(len(form_of(schema) if schema else form_fields(schema, OPTIONS)))
        option_values(schema, OPTIONS)
        if schema:
            answer_by_schema(schema, "approve", {ANSWER: 1}, {})
    # They are not all refused at the door.
    assert sum(map(bool, sizes)) > 100
    assert max(sizes) > 1


def _any_json(chance: random.Random, depth: int) -> Any:
    """Return JSON out of what means something in an interrupt or a schema, in places right and wrong."""
    if depth == 5:
        return {chance.choice([*SCHEMA_KEYS, "artifacts", "proposals"]): _any_json(chance, 4) for _ in range(2)}
    if not depth or chance.random() < 0.15:
        return chance.choice([*ODD, "string", "object", "array", "integer", "boolean", "null", "approve", ENDLESS])
    if chance.random() < 0.2:
        return [_any_json(chance, depth - 1) for _ in range(chance.randint(0, 3))]
    names = [*KEYWORDS, *["properties", "type"] * 8, "decision", "note", "_x", "id", "artifacts", ""]
    return {chance.choice(names): _any_json(chance, depth - 1) for _ in range(chance.randint(0, 4))}


def test_the_random_values_are_json() -> None:
    chance = random.Random(1)  # noqa: S311
    assert len({json.dumps(_any_json(chance, 5)) for _ in range(100)}) > 90
