# SPDX-License-Identifier: Apache-2.0
"""The types of fields of the models."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, TypeVar

import pendulum
from pydantic import (
    BeforeValidator,
    FailFast,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

T = TypeVar("T")


def _instant(value: Any) -> pendulum.DateTime:
    # The library's own error would quote the value, which may be personal data.
    with suppress(ValueError, TypeError, OverflowError):
        return pendulum.instance(value if isinstance(value, datetime) else datetime.fromisoformat(value))
    raise ValueError("should be an ISO 8601 instant such as 2026-01-31T12:00:00Z")


#: A moment as a pendulum ``DateTime`` with its time zone; ISO 8601 in JSON.
Instant = Annotated[
    pendulum.DateTime,
    PlainValidator(_instant),
    PlainSerializer(lambda moment: moment.isoformat().replace("+00:00", "Z"), when_used="json"),
]


def or_unchanged(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Keep a value that is invalid."""
    try:
        return validate(value)
    except ValidationError:
        return value


#: Text for people. Anything else that the service sends instead is kept unchanged.
Text = Annotated[str | None, WrapValidator(or_unchanged)]

#: Stop at the first invalid entry, because collecting the errors of all takes a hundred times the response's memory.
FIRST_ERROR_ONLY = FailFast()

#: A list. Null counts as empty.
Entries = Annotated[list[T], FIRST_ERROR_ONLY, BeforeValidator(lambda value: [] if value is None else value)]

#: A bool. Null counts as false.
Flag = Annotated[bool, BeforeValidator(lambda value: False if value is None else value)]
