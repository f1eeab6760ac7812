# SPDX-License-Identifier: Apache-2.0
"""
What an answer of the service means: a result, or which error. Without I/O.

An error here knows two things that decide what may happen next: ``resend``, whether the same request may be
sent again without harm, and ``in_doubt``, whether the service may have carried it out all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

import pendulum
from pydantic import BaseModel, TypeAdapter, ValidationError

from airflow_provider_agentruns.models import ListedPage, ListedRun, ListedRuns, RunPage, RunState, RunStatus

if TYPE_CHECKING:
    pass

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

_SURROGATE = re.compile(rb"\\u[dD]")

#: Answers that a moment's patience may mend.
_PASSING = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as it came: status, headers (case-insensitive) and the whole body."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def date(self) -> pendulum.DateTime | None:
        """When the service sent it, by the service's clock, to the second."""
        return _http_date(self.headers.get("date", ""))

    @property
    def retry_after(self) -> float | None:
        """Seconds that the service asks to wait; None where it says nothing that makes sense."""
        value = self.headers.get("retry-after", "").strip()
        if value.isdecimal():
            return float(value[:9])
        moment = _http_date(value)
        return max(0.0, (moment - pendulum.now("UTC")).total_seconds()) if moment else None

    def json(self) -> Any:
        """
        Return the body's JSON value; ValueError where it is none.

        Half a surrogate pair is no character, and what is to carry it on (XCom, a database) fails: it becomes U+FFFD.
        """
        try:
            value = json.loads(self.body)
            if _SURROGATE.search(self.body):
                text = json.dumps(value, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
                value = json.loads(text.decode("utf-16-le", "replace"))
            return value
        except RecursionError:
            raise ValueError("nested too deeply") from None


def model(kind: type[M]) -> Callable[[Response], M]:
    """Read the answer as one model."""
    return lambda response: kind.model_validate(response.json())


def event(kind: type[M]) -> Callable[[Response], M]:
    """Read one event of a stream: its data is the body, and its type is in the data or, failing that, beside it."""

    def parse(response: Response) -> M:
        data = json.loads(response.body) if response.body else {}
        return kind.model_validate({"type": response.headers.get("event"), **data})

    return parse


def items(kind: type[M]) -> Callable[[Response], list[M]]:
    """Read the answer's ``data`` array as models."""
    several = TypeAdapter(list[kind])  # type: ignore[valid-type]

    def parse(response: Response) -> list[M]:
        document = response.json()
        data = document.get("data") if isinstance(document, dict) else document
        return several.validate_python(data or [])

    return parse


def run_status(response: Response) -> RunStatus:
    """Read a run's status, and skip all else that is there."""
    try:
        return RunState.model_validate_json(response.body).status
    except ValidationError:
        # It is stricter about what it skips than the reading of the whole run is.
        return RunState.model_validate(response.json()).status


def run_page(response: Response) -> RunPage:
    """Read one page of runs, and when it was sent."""
    page = RunPage.model_validate(response.json())
    page.served_at = response.date
    return page


#: So many entries of a page may be no runs that can be read; the largest page that is asked for has 500.
_MOST_LEFT_OUT = 500


def run_state(response: Response) -> ListedRun:
    """Read as much of a run as a watch needs of one in the listing, and skip all else that is there."""
    try:
        return _LISTED_RUN.validate_json(response.body)
    except ValidationError:
        document = response.json()
        status = RunState.model_validate(document).status
        # Who has asked knows its id.
        return _listed_run(document) or _listed_run({**document, "id": ""}) or ListedRun(id="", status=str(status))


def listed_page(response: Response) -> ListedPage:
    """Read one page of runs for a watch; an entry that cannot be read is left out, and its run looked at singly."""
    left_out = 0
    try:
        listed = ListedRuns.model_validate_json(response.body)
    except ValidationError:
        document = response.json()
        entries: Any = document.get("data") if isinstance(document, dict) else None
        listed = ListedRuns.model_validate({**document, "data": []} if isinstance(entries, list) else document)
        for entry in entries or ():
            if run := _listed_run(entry):
                listed.data.append(run)
            elif (left_out := left_out + 1) > _MOST_LEFT_OUT:
                # To go through all that somebody sends would hold up the event loop.
                raise ValueError(f"more than {_MOST_LEFT_OUT} entries of the listing are no runs") from None
    return ListedPage(
        has_more=listed.has_more,
        total_count=listed.total_count,
        data=listed.data,
        size=len(response.body),
        left_out=left_out,
        served_at=date.timestamp() if (date := response.date) else None,
    )


def _listed_run(entry: Any) -> ListedRun | None:
    """Read an entry of the listing, or what of it can be read."""
    if not isinstance(entry, dict):
        return None
    with suppress(ValidationError):
        return _LISTED_RUN.validate_python(entry)
    part = {name: entry[name] for name in ("id", "status", "agent", "created_at") if isinstance(entry.get(name), str)}
    asked = entry.get("interrupts")
    dicts = [interrupt for interrupt in asked if isinstance(interrupt, dict)] if isinstance(asked, list) else []
    part["interrupts"] = [interrupt for interrupt in dicts if isinstance(interrupt.get("id"), str)]
    part["output"] = None if entry.get("output") is None else {}
    try:
        return _LISTED_RUN.validate_python(part)
    except ValidationError:
        return None


_LISTED_RUN = TypeAdapter(ListedRun)


def _http_date(value: str) -> pendulum.DateTime | None:
    try:
        return pendulum.instance(parsedate_to_datetime(value))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
