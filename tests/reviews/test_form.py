# SPDX-License-Identifier: Apache-2.0
"""The form comes out of the schema that an agent sends, and the answer fits that schema again."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from airflow_provider_agentruns.reviews.form import (
    ANSWER,
    SCHEMA_KEYS,
    answer_by_schema,
    answer_schema,
    option_values,
    rated_artifact,
)
from tests.reviews.forms import OPTIONS, accepts, asks, fields_of, form_of

WHO = {"responded_by": {"id": "ann", "name": "Ann"}, "responded_at": "2026-01-31T12:00:00+00:00"}
CLOSED = {"additionalProperties": False}


@pytest.mark.parametrize("key", SCHEMA_KEYS)
def test_the_schema_is_found_where_agents_put_it(key: str) -> None:
    assert answer_schema(asks({key: {"type": "string"}})) == {"type": "string"}


def test_the_first_schema_that_says_something_counts() -> None:
    value = {"schema": {"type": "object"}, "response_schema": {"type": "string"}, "input_schema": {}}
    assert answer_schema(asks(value)) == {"type": "string"}


@pytest.mark.parametrize("value", [None, "Right?", 7, True, ["input_schema"], {}, {"input_schema": "object"}])
def test_without_a_schema_there_is_no_field(value: Any) -> None:
    assert answer_schema(asks(value)) is None
    assert form_of(value["input_schema"] if isinstance(value, dict) and value else None) == {}


def test_what_a_property_says_becomes_what_airflow_shows_and_checks() -> None:
    amount = {
        "type": "number",
        "title": "Amount",
        "description": "In dollars",
        "default": 5,
        "minimum": 1,
        "maximum": 9.5,
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 10,
    }
    day = {"type": "string", "format": "date", "minLength": 10, "maxLength": 10, "examples": ["2026-01-31"]}
    tags = {"type": "array", "items": {"type": "string", "maxLength": 3}, "minItems": 1, "maxItems": 2}
    fields = fields_of({"amount": amount, "day": day, "tags": tags}, required=["amount", "day", "tags"])
    assert fields == {"amount": amount, "day": {"default": None, **day}, "tags": {"default": None, **tags}}
    assert [accepts(fields["amount"], value) for value in (1, 9.5, 0.5, 10, "5", None)] == [True] * 2 + [False] * 4
    assert [accepts(fields["tags"], value) for value in (["abc"], ["abcd"], [1], [])] == [True] + [False] * 3


def test_what_is_not_required_may_be_left_empty() -> None:
    parts = {"note": {"type": "string"}, "size": {"enum": ["S", "L"]}, "count": {"type": ["integer", "null"]}}
    fields = fields_of(parts)
    assert [fields[name]["type"] for name in parts] == [["string", "null"], ["string", "null"], ["integer", "null"]]
    assert all(accepts(field, None) for field in fields.values())
    fields = fields_of(parts, required=["note", "size"])
    assert [accepts(fields[name], None) for name in parts] == [False, False, True]


@pytest.mark.parametrize(
    ("choices", "kind"),
    [
        (["S", "L"], "string"),
        ([1, 2], "integer"),
        ([True], "boolean"),
        (["S", 1, 0.5], ["string", "integer", "number"]),
    ],
)
def test_values_to_choose_from_say_what_type_they_are(choices: list[Any], kind: Any) -> None:
    fields = fields_of({"size": {"enum": choices}}, required=["size"])
    assert fields == {"size": {"default": None, "enum": choices, "type": kind}}


def test_an_agents_own_null_among_the_values_stays_one() -> None:
    assert fields_of({"size": {"enum": ["S", None]}})["size"]["enum"] == ["S", None]


def test_a_constant_is_shown_and_not_hidden() -> None:
    # Airflow's page hides a field with "const", and sends it along.
    agreed = {"type": "boolean", "const": True, "title": "The board has agreed"}
    assert fields_of({"agreed": agreed}) == {
        "agreed": {"default": None, "enum": [True, None], "title": agreed["title"], "type": ["boolean", "null"]}
    }
    assert fields_of({"version": {"const": 2}}, required=["version"]) == {
        "version": {"default": 2, "enum": [2], "type": "integer"}
    }


@pytest.mark.parametrize("part", [{}, True])
def test_a_property_that_may_be_anything_is_a_text(part: Any) -> None:
    assert fields_of({"note": part}, required=["note"]) == {"note": {"default": None, "type": "string"}}


@pytest.mark.parametrize(
    "decision", [{}, {"type": "string"}, {"enum": ["approve", "reject"]}, {"enum": ["REJECT", "later", "APPROVE"]}]
)
def test_a_decision_that_the_options_say_is_no_field(decision: dict[str, Any]) -> None:
    assert list(fields_of({"decision": decision, "note": {}})) == ["note"]


@pytest.mark.parametrize("decision", [{"enum": ["approved", "rejected"]}, {"enum": ["approve"]}, {"type": "boolean"}])
def test_a_decision_in_other_words_is_taken_by_a_person_and_not_preset(decision: dict[str, Any]) -> None:
    # Whoever clicks "Reject" would else send what the agent has filled in.
    preset = decision.get("enum", [True])[0]
    field = fields_of({"decision": {**decision, "default": preset}})["decision"]
    assert field["default"] is None
    assert accepts(field, preset)
    assert not accepts(field, None)


def test_an_answer_that_is_no_object_is_one_field() -> None:
    assert form_of({"type": "string", "title": "Which state?"}) == {
        ANSWER: {"default": None, "title": "Which state?", "type": "string"}
    }
    # Whichever button is pressed, this is what is sent: nothing is preset.
    assert form_of({"type": "boolean", "default": True}) == {ANSWER: {"default": None, "type": "boolean"}}
    assert form_of({"enum": ["approve", "reject"]}) == {}


def test_a_property_of_that_name_is_one_like_others() -> None:
    assert fields_of({"answer": {"type": "string", "default": "42"}})["answer"]["default"] == "42"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (None, ["approve", "reject"]),
        ({"properties": {}}, ["approve", "reject"]),
        ({"properties": {"decision": {"enum": ["APPROVE", 7, "No"]}}}, ["APPROVE", "reject"]),
        ({"properties": {"decision": {"const": "APPROVE"}}}, ["APPROVE", "reject"]),
        ({"properties": {"decision": {"enum": "APPROVE"}}}, ["approve", "reject"]),
        ({"properties": {"decision": True}}, ["approve", "reject"]),
        ({"enum": ["Reject", "Approve"]}, ["Approve", "Reject"]),
        ({"type": "string"}, ["approve", "reject"]),
    ],
)
def test_options_become_the_agents_words(schema: dict[str, Any] | None, words: list[str]) -> None:
    assert option_values(schema, OPTIONS) == words


def test_an_open_object_also_says_who_answered() -> None:
    answer = answer_by_schema({"properties": {}}, "approve", {"note": "Fine", "more": None}, WHO)
    assert answer == {"decision": "approve", **WHO, "note": "Fine"}


def test_a_closed_object_gets_only_what_it_names() -> None:
    schema = {"properties": {"note": {"type": "string"}}, **CLOSED}
    assert answer_by_schema(schema, "approve", {"note": "Fine"}, WHO) == {"note": "Fine"}
    schema["properties"]["decision"] = {"enum": ["approve", "reject"]}
    answer = answer_by_schema(schema, "approve", {"note": None}, WHO)
    assert answer == {"decision": "approve"}
    Draft202012Validator(schema).validate(answer)


def test_a_decision_that_was_a_field_is_what_is_sent() -> None:
    schema = {"properties": {"decision": {"enum": ["approved", "rejected"]}}, **CLOSED}
    assert answer_by_schema(schema, "reject", {"decision": "rejected"}, WHO) == {"decision": "rejected"}


def test_an_answer_that_is_no_object_is_sent_alone() -> None:
    assert answer_by_schema({"type": "integer"}, "approve", {ANSWER: 0}, WHO) == 0
    assert answer_by_schema({"type": "boolean"}, "approve", {ANSWER: False}, WHO) is False
    assert answer_by_schema({"enum": ["Approve"]}, "Approve", {}, WHO) == "Approve"


def test_where_nobody_filled_in_the_answer_in_time_the_default_option_is_it() -> None:
    assert answer_by_schema({"enum": ["approved", "rejected"]}, "reject", {ANSWER: None}, WHO) == "reject"


def test_the_first_artifact_with_an_id_can_be_rated() -> None:
    good, second = {"id": "a-2", "title": "Report"}, {"id": "a-3"}
    assert rated_artifact(asks({"artifacts": [{"title": "None"}, good, second]})) is good
    assert rated_artifact(asks({"proposals": [{"artifacts": [{}]}, {"artifacts": [second]}]})) is second
    assert rated_artifact(asks({"artifacts": [good], "proposals": [{"artifacts": [second]}]})) is good


@pytest.mark.parametrize(
    "value",
    [
        *(None, "a-1", [{"id": "a-1"}], {"artifacts": {"id": "a-1"}}, {"artifacts": ["a-1", None, [{"id": "a-1"}]]}),
        *({"artifacts": [{"id": bad} for bad in (7, None, "", " ", "\ud800", ["a-1"], "x" * 201)]},),
        *({"proposals": {"artifacts": [{"id": "a-1"}]}}, {"proposals": ["a-1", None, {"artifacts": "a-1"}]}),
    ],
)
def test_what_has_no_usable_id_cannot_be_rated(value: Any) -> None:
    assert rated_artifact(asks(value)) is None
