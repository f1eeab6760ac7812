# SPDX-License-Identifier: Apache-2.0
"""The types of fields of the models."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import pendulum
from pydantic import (
    FailFast,
    GetCoreSchemaHandler,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function, nullable_schema


def _instant(value: object) -> pendulum.DateTime:
    if isinstance(value, pendulum.DateTime):
        return value
    if isinstance(value, str):
        # The library's own error would quote the value, which may be personal data.
        with suppress(ValueError, OverflowError):
            parsed = pendulum.parse(value, strict=True)
            if isinstance(parsed, pendulum.DateTime):
                return parsed
    raise ValueError("should be an ISO 8601 instant such as 2026-01-31T12:00:00Z")


#: A moment as a pendulum ``DateTime`` with its time zone; ISO 8601 in JSON.
Instant = Annotated[
    pendulum.DateTime,
    PlainValidator(_instant),
    PlainSerializer(lambda moment: moment.isoformat().replace("+00:00", "Z"), when_used="json"),
]


def or_unchanged(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError:
        return value


#: Text for people. Anything else that the service sends instead is kept unchanged.
Text = Annotated[str | None, WrapValidator(or_unchanged)]

#: Stop at the first invalid entry, because collecting the errors of all takes a hundred times the response's memory.
FIRST_ERROR_ONLY = FailFast()


class _NullIs:
    """
    Replaces null by another value, after validation.

    A validator that runs before would receive a Python object, which pydantic would build of all that can be skipped.
    """

    def __init__(self, value: Callable[[], Any]) -> None:
        self._value = value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(
            lambda value: self._value() if value is None else value, nullable_schema(handler(source))
        )


NullIsEmptyList = _NullIs(list)
NullIsFalse = _NullIs(bool)
