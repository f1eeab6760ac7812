# SPDX-License-Identifier: Apache-2.0
"""What the tests of forms share: an interrupt of any value, and a form as Airflow takes, keeps and checks it."""

from __future__ import annotations

import json
from typing import Any

from airflow.providers.common.compat.sdk import ParamValidationError
from airflow.sdk import Param

from airflow_provider_agentruns.models import Interrupt
from airflow_provider_agentruns.reviews.form import answer_schema, form_fields

OPTIONS = ["Approve", "Reject"]

#: What people and browsers may send for a field.
_SENT = ("a" * 40 + "!", [{}])


def asks(value: Any) -> Interrupt:
    """Return an interrupt of this value."""
    return Interrupt(id="int-1", agent="some_agent", value=value)


def fields_of(properties: Any, **schema: Any) -> dict[str, dict[str, Any]]:
    """Return the fields of the form for an answer that is an object, of which Airflow takes each."""
    return form_of({"type": "object", "properties": properties, **schema})


def form_of(schema: Any, options: list[str] = OPTIONS) -> dict[str, dict[str, Any]]:
    """Return the fields of the form for an agent's schema, of which Airflow takes each."""
    fields = form_fields(answer_schema(asks({"input_schema": schema})), options)
    for field in fields.values():
        _check(field)
    return fields


def accepts(field: dict[str, Any], value: Any) -> bool:
    """Whether Airflow takes a value for a field; any other failure than a refusal, as of its schema, is an error."""
    try:
        return Param(**field).resolve(value) == value
    except ParamValidationError:
        return False


def _check(field: dict[str, Any]) -> None:
    # As it is sent to Airflow's API and kept in its database.
    kept = json.dumps(Param(**field).serialize(), allow_nan=False, ensure_ascii=False).encode()
    assert len(kept) < 100_000
    again = json.loads(kept)
    # Airflow's page shows a default as it is, where it fits the field; and nothing in it says where else to look.
    assert again["value"] is None or accepts(field, again["value"])
    assert not {"$ref", "$dynamicRef", "const", "pattern", "custom_html_form", "description_md", "values_display"} & {
        *again["schema"],
        *again["schema"].get("items", {}),
    }
    assert all(isinstance(text, str) for text in (again["schema"].get("title", ""), again["description"] or ""))
    for value in _SENT:
        accepts(field, value)
