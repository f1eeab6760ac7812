# SPDX-License-Identifier: Apache-2.0
"""Helpers for tests of forms: an interrupt with any value, and a form that Airflow accepts, stores, and checks."""

from __future__ import annotations

import json
from typing import Any

from airflow.providers.common.compat.sdk import ParamValidationError
from airflow.sdk import Param

from airflow_provider_agentruns.models import Interrupt
from airflow_provider_agentruns.reviews.answer_schema import AnswerSchema

OPTIONS = ["Approve", "Reject"]
WHO = {"responded_by": {"id": "ann", "name": "Ann"}, "responded_at": "2026-01-31T12:00:00+00:00"}

#: What people and browsers can send for a field.
_SENT = ("a" * 40 + "!", [{}])


def asks(value: Any) -> Interrupt:
    return Interrupt(id="int-1", agent="some_agent", value=value)


def schema_of(schema: Any) -> AnswerSchema:
    return AnswerSchema(asks({"input_schema": schema}))


def fields_of(properties: Any, **schema: Any) -> dict[str, dict[str, Any]]:
    """Return the fields of the form for an answer that is an object, after Airflow accepted each."""
    return form_of({"type": "object", "properties": properties, **schema})


def form_of(schema: Any, options: list[str] = OPTIONS) -> dict[str, dict[str, Any]]:
    """Return the fields of the form for an agent's schema, after Airflow accepted each."""
    fields = schema_of(schema).fields(options)
    for field in fields.values():
        _check(field)
    return fields


def answer(schema: Any, decision: str, fields: dict[str, Any]) -> Any:
    """Return the default answer to a question with this schema."""
    return schema_of(schema).default_answer({"decision": decision, "fields": fields, **WHO})


def accepts(field: dict[str, Any], value: Any) -> bool:
    """Return whether Airflow accepts a value for a field. An error of its validation itself is raised."""
    try:
        return Param(**field).resolve(value) == value
    except ParamValidationError:
        return False


def _check(field: dict[str, Any]) -> None:
    # As Airflow's API receives it and its database stores it.
    kept = json.dumps(Param(**field).serialize(), allow_nan=False, ensure_ascii=False).encode()
    assert len(kept) < 100_000
    again = json.loads(kept)
    # A default is valid, and no keyword makes Airflow fetch, hide, or render anything.
    assert again["value"] is None or accepts(field, again["value"])
    assert not {"$ref", "$dynamicRef", "const", "pattern", "custom_html_form", "description_md", "values_display"} & {
        *again["schema"],
        *again["schema"].get("items", {}),
    }
    assert all(isinstance(text, str) for text in (again["schema"].get("title", ""), again["description"] or ""))
    for value in _SENT:
        accepts(field, value)
