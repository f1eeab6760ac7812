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

from airflow_provider_agentruns.exceptions import (
    AgentRunsAPIError,
    AgentRunsConnectionError,
    api_error_class,
)
from airflow_provider_agentruns.models import ListedPage, ListedRun, ListedRuns, RunPage, RunState, RunStatus

if TYPE_CHECKING:
    import httpx

    from airflow_provider_agentruns.client.requests import Request

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

_SURROGATE = re.compile(rb"\\u[dD]")

#: Answers that a moment's patience may mend.
_PASSING = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
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


def read(request: Request[T], answer: Answer, redact: Callable[[str], str]) -> T:
    """
    Return what a request's answer holds.

    :param redact: Takes the token out of a text, should the service ever send it back.
    :raises AgentRunsAPIError: If the answer is an error, a redirect, or not what the contract says.
    """
    if not 200 <= answer.status_code < 300:
        raise _error(request, answer, redact)
    try:
        return request.parse(answer)
    except ValidationError as e:
        # Without the values, which may be personal data.
        first = e.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        problem = f"cannot be read: {where}: {first['msg']}"
    except ValueError:
        kind = answer.headers.get("content-type", "no content type")
        problem = f"is not JSON ({kind}). Is the connection's base URL the service's, and not a proxy's page?"
    raise AgentRunsAPIError(
        answer.status_code,
        [redact(f"what came {problem}")],
        request.method,
        request.path,
        in_doubt=not request.repeatable,
        resend=request.repeatable,
    )


def connection_error(
    request: Request[Any], error: httpx.HTTPError, base_url: str, redact: Callable[[str], str]
) -> AgentRunsConnectionError:
    """
    Say what became of a request that got no answer.

    Where not even a connection came about, nothing was sent, and any request may be sent again. Otherwise
    only one that is repeatable may; the fate of another is unknown.
    """
    import httpx

    unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    what = redact(str(error)) or "no details"
    return AgentRunsConnectionError(
        f"{request.method} {request.path}: {base_url} "
        f"{'could not be reached' if unsent else 'gave no usable answer'} ({type(error).__name__}: {what})",
        in_doubt=not unsent and not request.repeatable,
        resend=unsent or request.repeatable,
    )


def model(kind: type[M]) -> Callable[[Answer], M]:
    """Read the answer as one model."""
    return lambda answer: kind.model_validate(answer.json())


def event(kind: type[M]) -> Callable[[Answer], M]:
    """Read one event of a stream: its data is the body, and its type is in the data or, failing that, beside it."""

    def parse(answer: Answer) -> M:
        data = json.loads(answer.body) if answer.body else {}
        return kind.model_validate({"type": answer.headers.get("event"), **data})

    return parse


def items(kind: type[M]) -> Callable[[Answer], list[M]]:
    """Read the answer's ``data`` array as models."""
    several = TypeAdapter(list[kind])  # type: ignore[valid-type]

    def parse(answer: Answer) -> list[M]:
        document = answer.json()
        data = document.get("data") if isinstance(document, dict) else document
        return several.validate_python(data or [])

    return parse


def run_status(answer: Answer) -> RunStatus:
    """Read a run's status, and skip all else that is there."""
    try:
        return RunState.model_validate_json(answer.body).status
    except ValidationError:
        # It is stricter about what it skips than the reading of the whole run is.
        return RunState.model_validate(answer.json()).status


def run_page(answer: Answer) -> RunPage:
    """Read one page of runs, and when it was sent."""
    page = RunPage.model_validate(answer.json())
    page.served_at = answer.date
    return page


#: So many entries of a page may be no runs that can be read; the largest page that is asked for has 500.
_MOST_LEFT_OUT = 500


def run_state(answer: Answer) -> ListedRun:
    """Read as much of a run as a watch needs of one in the listing, and skip all else that is there."""
    try:
        return _LISTED_RUN.validate_json(answer.body)
    except ValidationError:
        document = answer.json()
        status = RunState.model_validate(document).status
        # Who has asked knows its id.
        return _listed_run(document) or _listed_run({**document, "id": ""}) or ListedRun(id="", status=str(status))


def listed_page(answer: Answer) -> ListedPage:
    """Read one page of runs for a watch; an entry that cannot be read is left out, and its run looked at singly."""
    left_out = 0
    try:
        listed = ListedRuns.model_validate_json(answer.body)
    except ValidationError:
        document = answer.json()
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
        size=len(answer.body),
        left_out=left_out,
        served_at=date.timestamp() if (date := answer.date) else None,
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


def _error(request: Request[Any], answer: Answer, redact: Callable[[str], str]) -> AgentRunsAPIError:
    status = answer.status_code
    if 300 <= status < 400:
        to = answer.headers.get("location", "nowhere")
        messages = [
            f"a redirect to {to}, not followed: it would carry the token along. Correct the connection's base URL"
        ]
    else:
        messages = _messages(answer)
    passing = status in _PASSING
    return api_error_class(status)(
        status,
        [redact(message) for message in messages],
        request.method,
        request.path,
        retry_after=answer.retry_after,
        # A 429 says that nothing was done. A failing gateway does not know what was done behind it.
        in_doubt=status >= 500 and not request.repeatable,
        resend=passing and (request.repeatable or status == 429),
    )


def _messages(answer: Answer) -> list[str]:
    """Return the messages of the service's ``errors`` array, or say what came instead."""
    try:
        errors = answer.json()["errors"]
        messages = [
            f"{entry['message']} ({entry['parameter']})" if entry.get("parameter") else str(entry["message"])
            for entry in errors
        ]
    except (ValueError, TypeError, KeyError, AttributeError):
        messages = []
    if messages:
        return messages
    return [f"no error message ({answer.headers.get('content-type', 'no content type')})"]


def _http_date(value: str) -> pendulum.DateTime | None:
    try:
        return pendulum.instance(parsedate_to_datetime(value))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
