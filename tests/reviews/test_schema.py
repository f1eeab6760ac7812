# SPDX-License-Identifier: Apache-2.0
"""Schemas as pydantic writes them become forms as people read them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel, Field

from airflow_provider_agentruns.reviews.form import answer_by_schema, form_fields, option_values
from airflow_provider_agentruns.reviews.schema import flat

OPTIONS = ["Approve", "Reject"]


class Verdict(StrEnum):
    """What an agent takes for a decision."""

    APPROVE = "APPROVE"
    REJECT = "REJECT"


class Level(StrEnum):
    """A choice that may be left out."""

    LOW = "low"
    HIGH = "high"


class Answer(BaseModel):
    """An answer as an agent's author writes it down."""

    decision: Verdict
    limit: int | None = Field(default=None, title="Limit", ge=0)
    risk: Level | None = None
    note: str = ""


SCHEMA = Answer.model_json_schema()


def test_references_and_optional_fields_are_put_in_place() -> None:
    assert "$defs" in SCHEMA
    fields = form_fields(SCHEMA, OPTIONS)
    # The decision is what the buttons say.
    assert list(fields) == ["limit", "risk", "note"]
    assert fields["limit"]["type"] == ["integer", "null"]
    assert fields["limit"]["minimum"] == 0
    assert fields["risk"]["type"] == ["string", "null"]
    assert fields["risk"]["enum"] == ["low", "high", None]


def test_a_decision_that_is_referred_to_gives_its_words() -> None:
    assert option_values(SCHEMA, ["Reject"]) == ["REJECT"]
    answer = answer_by_schema(SCHEMA, "REJECT", {"limit": 5, "risk": None, "note": ""}, {})
    assert Answer.model_validate(answer) == Answer(decision=Verdict.REJECT, limit=5)


@pytest.mark.parametrize(
    "reference",
    [
        "https://example.com/schema.json",
        "#/$defs/missing",
        "#",
        "other.json#/a",
        5,
        None,
        "#/$defs/0/1",
        "#/properties",
    ],
)
def test_a_reference_that_leads_nowhere_or_elsewhere_is_left_alone(reference: Any) -> None:
    root = {"$defs": {"A": {"type": "string"}}}
    assert flat({"$ref": reference, "title": "T"}, root) == {"$ref": reference, "title": "T"}


@pytest.mark.timeout(10)
def test_a_schema_that_refers_to_itself_has_an_end() -> None:
    root: dict[str, Any] = {"$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"anyOf": [{"$ref": "#/$defs/A"}]}}}
    assert isinstance(flat({"$ref": "#/$defs/A"}, root), dict)


def test_a_choice_between_several_types_is_left_to_the_agent() -> None:
    part = {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}
    assert flat(part, {}) == part
