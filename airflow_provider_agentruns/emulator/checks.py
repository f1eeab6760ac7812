# SPDX-License-Identifier: Apache-2.0
"""What a run may be about, and which answer fits a question."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from jsonschema.exceptions import best_match
from jsonschema.validators import Draft202012Validator, validator_for

from airflow_provider_agentruns.emulator.problems import Incomplete, Unprocessable
from airflow_provider_agentruns.emulator.scripts import Context, Json

log = logging.getLogger(__name__)

#: A run about this business is refused: it is in audit.
AUDITED_BUSINESS_ID = "a0d17ed0-0000-4000-8000-000000000422"


class ContextReader:
    """Makes a context of the fields of a request."""

    def __init__(self) -> None:
        self._warned = False

    def read(self, business_id: str | None, context_type: str | None, context_id: str | None) -> Context | None:
        """
        Read the context that the fields name; None if they name none.

        :raises Incomplete: If they name half a context, or two.
        """
        if (context_type is None) != (context_id is None):
            raise Incomplete(
                "context_type and context_id go together", "context_id" if context_id is None else "context_type"
            )
        contexts = {
            Context(kind, resource)
            for kind, resource in (("business", business_id), (context_type, context_id))
            if resource is not None
        }
        if len(contexts) > 1:
            raise Incomplete("business_id and context_id name two different things", "context_id")
        context = contexts.pop() if contexts else None
        if context:
            self._warn_of_foreign_id(context)
        return context

    def _warn_of_foreign_id(self, context: Context) -> None:
        if self._warned or is_uuid(context.id):
            return
        self._warned = True
        log.warning("The id %.100r of a %s is taken, but the real service takes UUIDs only", context.id, context.type)


def check_audit(context: Context) -> None:
    """
    Refuse a run about a business in audit.

    :raises Unprocessable: If it is.
    """
    if context.type == "business" and (context.id or "").lower() == AUDITED_BUSINESS_ID:
        raise Unprocessable("The business is in audit: agents cannot work on it", "business_id")


def check_answer(value: Json, answer: Any) -> None:
    """
    Refuse an answer that does not fit the question.

    :param value: The question; a JSON schema under ``input_schema`` in it says what fits.
    :raises Unprocessable: If it does not fit.
    """
    if answer is None:
        raise Unprocessable("An input is needed", "input")
    if isinstance(schema := value.get("input_schema"), dict):
        validator = validator_for(schema, default=Draft202012Validator)(schema)
        if mismatch := best_match(validator.iter_errors(answer)):
            place = f" at {mismatch.json_path}" if mismatch.absolute_path else ""
            raise Unprocessable(f"The input does not fit{place}: {mismatch.message}", "input")


def is_uuid(text: object) -> bool:
    """Whether a text is a UUID as the service writes it, in upper or lower case."""
    try:
        return isinstance(text, str) and str(UUID(text)) == text.lower()
    except ValueError:
        return False
