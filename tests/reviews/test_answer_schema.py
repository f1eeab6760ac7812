# SPDX-License-Identifier: Apache-2.0
"""The form follows the schema that an agent sends, and the answer fits that schema again."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from airflow_provider_agentruns.reviews.answer_schema import ANSWER, AnswerSchema, rated_artifact
from tests.reviews.forms import OPTIONS, WHO, accepts, answer, asks, fields_of, form_of, schema_of

CLOSED = {"additionalProperties": False}


@pytest.mark.parametrize("value", [None, "Right?", ["input_schema"], {}, {"input_schema": "object"}])
def test_without_a_schema_there_is_no_field(value: Any) -> None:
    schema = AnswerSchema(asks(value))
    assert not schema
    assert schema.fields(OPTIONS) == {}


def test_airflow_shows_and_checks_what_a_property_describes() -> None:
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
    day = {"type": "string", "format": "date", "minLength": 10, "maxLength": 10}
    tags = {"type": "array", "items": {"type": "string", "maxLength": 3}, "minItems": 1, "maxItems": 2}
    fields = fields_of({"amount": amount, "day": day, "tags": tags}, required=["amount", "day", "tags"])
    assert fields == {"amount": amount, "day": {"default": None, **day}, "tags": {"default": None, **tags}}
    assert [accepts(fields["amount"], value) for value in (1, 9.5, 0.5, 10, "5", None)] == [True] * 2 + [False] * 4
    assert [accepts(fields["tags"], value) for value in (["abc"], ["abcd"], [1], [])] == [True] + [False] * 3


def test_what_is_not_required_can_stay_empty() -> None:
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
        ([True], "boolean"),
        (["S", 1, 0.5], ["string", "integer", "number"]),
        (["S", None], ["string", "null"]),
    ],
)
def test_choices_keep_their_type(choices: list[Any], kind: Any) -> None:
    fields = fields_of({"size": {"enum": choices}}, required=["size"])
    assert fields == {"size": {"default": None, "enum": choices, "type": kind}}


def test_a_constant_is_shown_and_not_hidden() -> None:
    # Airflow's page hides a field with "const", and sends it.
    agreed = {"type": "boolean", "const": True, "title": "The board has agreed"}
    assert fields_of({"agreed": agreed}) == {
        "agreed": {"default": None, "enum": [True, None], "title": agreed["title"], "type": ["boolean", "null"]}
    }


@pytest.mark.parametrize(
    "decision", [{}, {"enum": ["approve", "reject"]}, {"enum": ["REJECT", "later", "APPROVE"]}, {"const": "approved"}]
)
def test_a_decision_that_the_options_cover_is_no_field(decision: dict[str, Any]) -> None:
    assert list(fields_of({"decision": decision, "note": {}})) == ["note"]


@pytest.mark.parametrize("decision", [{"enum": ["approved", "rejected"]}, {"type": "boolean"}])
def test_any_other_decision_is_a_field_without_a_default(decision: dict[str, Any]) -> None:
    # Otherwise the button "Reject" sends what the agent filled in.
    preset = decision.get("enum", [True])[0]
    field = fields_of({"decision": {**decision, "default": preset}})["decision"]
    assert field["default"] is None
    assert accepts(field, preset)
    assert not accepts(field, None)


def test_an_answer_that_is_not_an_object_is_one_field_without_a_default() -> None:
    assert form_of({"type": "string", "title": "Which state?"}) == {
        ANSWER: {"default": None, "title": "Which state?", "type": "string"}
    }
    assert form_of({"type": "boolean", "default": True}) == {ANSWER: {"default": None, "type": "boolean"}}
    assert form_of({"enum": ["approve", "reject"]}) == form_of({"const": "approved"}) == {}
    assert fields_of({"answer": {"type": "string", "default": "42"}})["answer"]["default"] == "42"


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        (None, ["approve", "reject"]),
        ({"properties": {}}, ["approve", "reject"]),
        ({"properties": {"decision": {"enum": ["APPROVE", 7, "No"]}}}, ["APPROVE", "reject"]),
        ({"properties": {"decision": {"const": "APPROVE"}}}, ["APPROVE", "reject"]),
        ({"properties": {"decision": {"enum": "APPROVE"}}}, ["approve", "reject"]),
        ({"enum": ["Reject", "Approve"]}, ["Approve", "Reject"]),
        ({"type": "string"}, ["approve", "reject"]),
    ],
)
def test_options_become_the_agents_values(schema: dict[str, Any] | None, values: list[str]) -> None:
    assert schema_of(schema).option_values(OPTIONS) == values


@pytest.mark.parametrize(
    ("schema", "fields", "expected"),
    [
        ({"properties": {}}, {"note": "Fine", "more": None}, {"decision": "approve", **WHO, "note": "Fine"}),
        ({"properties": {"note": {}}, **CLOSED}, {"note": "Fine"}, {"note": "Fine"}),
        ({"properties": {"decision": {"enum": ["approve"]}}, **CLOSED}, {"note": None}, {"decision": "approve"}),
        ({"properties": {"decision": {}}, **CLOSED}, {"decision": "rejected"}, {"decision": "rejected"}),
        ({"type": "boolean"}, {ANSWER: False}, False),
        ({"enum": ["Approve"]}, {}, "approve"),
        # Nobody filled in the answer in time.
        ({"enum": ["approved", "rejected"]}, {ANSWER: None}, "approve"),
    ],
)
def test_the_answer_has_the_shape_of_the_schema(schema: dict[str, Any], fields: dict[str, Any], expected: Any) -> None:
    assert answer(schema, "approve", fields) == expected


class Verdict(StrEnum):
    """What an agent accepts as a decision."""

    APPROVE = "APPROVE"
    REJECT = "REJECT"


class Level(StrEnum):
    """An optional choice."""

    LOW = "low"
    HIGH = "high"


class Answer(BaseModel):
    """An answer as an agent's author defines it."""

    decision: Verdict
    limit: int | None = Field(default=None, title="Limit", ge=0)
    risk: Level | None = None
    note: str = ""


def test_a_schema_of_pydantic_becomes_a_form_and_an_answer() -> None:
    schema = Answer.model_json_schema()
    assert "$defs" in schema
    fields = form_of(schema)
    # The buttons stand for the decision.
    assert list(fields) == ["limit", "risk", "note"]
    assert (fields["limit"]["type"], fields["limit"]["minimum"]) == (["integer", "null"], 0)
    assert (fields["risk"]["type"], fields["risk"]["enum"]) == (["string", "null"], ["low", "high", None])
    assert schema_of(schema).option_values(["Reject"]) == "REJECT"
    sent = answer(schema, "REJECT", {"limit": 5, "risk": None, "note": ""})
    Draft202012Validator(schema).validate(sent)
    assert Answer.model_validate(sent) == Answer(decision=Verdict.REJECT, limit=5)


def test_the_first_artifact_with_an_id_can_be_rated() -> None:
    good, second = {"id": "a-2", "title": "Report"}, {"id": "a-3"}
    assert rated_artifact(asks({"artifacts": [{"title": "None"}, good, second]})) == good
    assert rated_artifact(asks({"proposals": [{"artifacts": [{}]}, {"artifacts": [second]}]})) == second
    for value in (None, {"artifacts": {"id": "a-1"}}, {"proposals": ["a-1", {"artifacts": 1}]}):
        assert rated_artifact(asks(value)) is None
    for bad in (7, " ", "\ud800", "x" * 201):
        assert rated_artifact(asks({"artifacts": [{"id": bad}]})) is None
