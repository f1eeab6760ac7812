# SPDX-License-Identifier: Apache-2.0
"""Parses responses, without I/O. Pollers and pages parse only a part of a run, because the rest may be large."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Required, TypeVar

import pendulum
from pydantic import BaseModel, BeforeValidator, FailFast, OnErrorOmit, TypeAdapter, ValidationError

# pydantic cannot read the standard library's before Python 3.12.
from typing_extensions import TypedDict

from airflow_provider_agentruns.models import RunPage

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Response:
    status_code: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds that the service asks to wait; None without a valid header."""
        value = self.headers.get("retry-after", "").strip()
        if value.isdecimal():
            return float(value[:9])
        moment = _http_date(value)
        return max(0.0, (moment - pendulum.now("UTC")).total_seconds()) if moment else None

    def json(self) -> Any:
        """Return the body's JSON value, or raise a ValueError."""
        try:
            value = json.loads(self.body)
            # Databases cannot store half a surrogate pair.
            if re.search(rb"\\u[dD]", self.body):
                text = json.dumps(value, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
                value = json.loads(text.decode("utf-16-le", "replace"))
            return value
        except RecursionError:
            raise ValueError("nested too deeply") from None


class _Interrupt(TypedDict):
    id: str


class ListedRun(TypedDict, total=False):
    id: Required[str]
    status: Required[str]
    agent: str | None
    created_at: str | None
    interrupts: Annotated[list[_Interrupt] | None, FailFast()]


class ListedPage(BaseModel):
    has_more: bool | None = False
    total_count: int | None = None
    data: Annotated[list[ListedRun], FailFast()] = []
    #: The number of entries that could not be parsed. The service cannot set it.
    left_out: Annotated[int, BeforeValidator(lambda _: 0)] = 0


def model(kind: type[M]) -> Callable[[Response], M]:
    return lambda response: kind.model_validate(response.json())


def run_page(response: Response) -> RunPage:
    page = RunPage.model_validate(response.json())
    page.served_at = _http_date(response.headers.get("date", ""))
    return page


_LISTED_RUN = TypeAdapter(ListedRun)
_VALID_RUNS = TypeAdapter(list[OnErrorOmit[ListedRun]])


def run_state(response: Response) -> ListedRun:
    try:
        return _LISTED_RUN.validate_json(response.body)
    except ValidationError:
        # Pydantic's parser is stricter about skipped text than json.loads.
        return _LISTED_RUN.validate_python(response.json())


def listed_page(response: Response) -> ListedPage:
    try:
        return ListedPage.model_validate_json(response.body)
    except ValidationError:
        document = response.json()
    # An invalid entry must not stop all waits.
    entries = (document.get("data") or []) if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return ListedPage.model_validate(document)
    page = ListedPage.model_validate({**document, "data": _VALID_RUNS.validate_python(entries)})
    page.left_out = len(entries) - len(page.data)
    return page


def _http_date(value: str) -> pendulum.DateTime | None:
    try:
        return pendulum.instance(parsedate_to_datetime(value))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
