# SPDX-License-Identifier: Apache-2.0
"""Checks of what a request contains: its context, and whether an answer fits the question."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from jsonschema.exceptions import best_match
from jsonschema.validators import Draft202012Validator, validator_for

from airflow_provider_agentruns.emulator.errors import RequestError
from airflow_provider_agentruns.emulator.scripts import Context, Json

#: The service refuses runs about this business, because it is in audit.
AUDITED_BUSINESS_ID = "a0d17ed0-0000-4000-8000-000000000422"


def read_context(business_id: str | None, context_type: str | None, context_id: str | None) -> Context | None:
    """
    Return the context that the fields of a request name, or None.

    :raises RequestError: If the fields name half a context, or two.
    """
    if (context_type is None) != (context_id is None):
        missing = "context_id" if context_id is None else "context_type"
        raise RequestError(400, "context_type and context_id go together", missing)
    contexts = {
        Context(kind, resource)
        for kind, resource in (("business", business_id), (context_type, context_id))
        if resource is not None
    }
    if len(contexts) > 1:
        raise RequestError(400, "business_id and context_id name two different resources", "context_id")
    return contexts.pop() if contexts else None


def check_audit(context: Context) -> None:
    """
    Check that a run may be about a resource.

    :raises RequestError: If the resource is a business in audit.
    """
    if context.type == "business" and (context.id or "").lower() == AUDITED_BUSINESS_ID:
        raise RequestError(422, "The business is in audit: agents cannot work on it", "business_id")


def check_answer(value: Json, answer: Any) -> None:
    """
    Check that an answer fits its question.

    :param value: The question. Its ``input_schema``, if any, is a JSON schema.
    :raises RequestError: If the answer does not fit.
    """
    if answer is None:
        raise RequestError(422, "input is missing", "input")
    if isinstance(schema := value.get("input_schema"), dict):
        validator = validator_for(schema, default=Draft202012Validator)(schema)
        if mismatch := best_match(validator.iter_errors(answer)):
            place = f" at {mismatch.json_path}" if mismatch.absolute_path else ""
            raise RequestError(422, f"The input does not fit{place}: {mismatch.message}", "input")


def is_uuid(text: object) -> bool:
    """Return whether a text is a UUID with hyphens, in upper or lower case."""
    try:
        return isinstance(text, str) and str(UUID(text)) == text.lower()
    except ValueError:
        return False
