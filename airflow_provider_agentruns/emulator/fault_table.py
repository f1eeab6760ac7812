# SPDX-License-Identifier: Apache-2.0
"""The table of all faults, and their code."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

from pydantic import Field, NonNegativeFloat, NonNegativeInt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from airflow_provider_agentruns.emulator.app import error_response, page_of
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.script_steps import Json
from airflow_provider_agentruns.emulator.service import Service

#: Takes a request, the response or None if the request was not carried out, and the fault's parameters. Returns the
#: response to send, or None if it broke the connection.
Effect = Callable[..., Awaitable[Response | None]]
#: The type of a parameter, and its default.
Parameter = tuple[Any, Any]

_PAGE = "<!DOCTYPE html><html><head><title>Gateway</title></head><body><h1>Please sign in</h1></body></html>"
_STREAM = "GET /v1/runs/[^/]+/stream"


@dataclass(frozen=True)
class Fault:
    """
    One fault.

    :param carried_out: Whether the service carries out the request. The parameter ``taken`` overrides it.
    :param only: A regular expression for the method and the path of the requests that the fault can apply to.
    :param refuses: Whether the fault makes the whole service unreachable.
    """

    name: str
    group: str
    does: str
    effect: Effect
    carried_out: bool = False
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    only: str = ".*"
    refuses: bool = False

    @property
    def description(self) -> str:
        unless = ", unless 'taken' is true" if "taken" in self.parameters else ""
        return f"{self.does} The request is {'' if self.carried_out else 'not '}carried out{unless}."

    @property
    def usage(self) -> str:
        """A rule with all parameters and their defaults."""
        texts = {name: it if isinstance(it, str) else json.dumps(it) for name, (_, it) in self.parameters.items()}
        return " ".join([self.name, *(f"{name}={shlex.quote(text)}" for name, text in texts.items())])


async def _hang(request: Request, _: Response | None = None, *, seconds: float | None = None) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass


async def _close(request: Request, _: Response | None = None) -> None:
    request.state.connection.transport.close()
    await _hang(request)


async def _reset(request: Request, _: Response | None = None) -> None:
    request.state.connection.reset()
    await _hang(request)


async def _delay(request: Request, response: Response, *, seconds: float) -> Response:
    await _hang(request, seconds=seconds)
    return response


async def _cut(
    ending: Effect, request: Request, response: StreamingResponse, *, events: int = 0, part: float = 0.5
) -> Response:
    """Send whole events and a part of the next one, or a part of a body, before the ending."""

    async def cut() -> AsyncIterator[bytes]:
        pieces = _pieces(response)
        for _ in range(events):
            yield await anext(pieces, b"")
        if part:
            piece = await anext(pieces, b"")
            yield piece[: int(len(piece) * part)]
        await ending(request)

    return StreamingResponse(cut(), response.status_code, response.headers)


async def _respond(
    code: int, message: str, request: Request, _: Response | None, *, retry_after: str | None = None, **fields: Any
) -> Response:
    return error_response(code, message, headers={} if retry_after is None else {"Retry-After": retry_after})


async def _foreign_response(
    request: Request, _: Response | None, *, status: int = 200, body: str = _PAGE, content_type: str = "text/html"
) -> Response:
    return Response("" if status in (204, 304) else body, status, media_type=content_type)


def _changed(change: Callable[..., bytes]) -> Effect:

    async def respond(request: Request, response: StreamingResponse, **fields: Any) -> Response:
        del response.headers["content-length"]
        pieces = (change(piece, **fields) async for piece in _pieces(response))
        return StreamingResponse(pieces, response.status_code, response.headers)

    return respond


def _changed_objects(change: Callable[..., Json]) -> Effect:

    def changed(piece: bytes, **fields: Any) -> bytes:
        hook = partial(change, **fields)
        return re.sub(rb"{.*}", lambda found: json.dumps(json.loads(found[0], object_hook=hook)).encode(), piece)

    return _changed(changed)


def _with_status(value: Json, *, status: str) -> Json:
    return value | {"status": status} if value.get("object") in ("run", "thread") else value


async def _listing_lags(request: Request, response: Response, *, seconds: float) -> Response:
    if response.status_code != 200:
        return response
    service: Service = request.app.state.service
    at = service.clock() - timedelta(seconds=seconds)

    def as_it_was(run: Run) -> Json:
        return run.as_json(state=next(state for state in reversed(run.states) if state.since <= at))

    runs = [run for run in service.runs.values() if run.created_at <= at]
    return JSONResponse(page_of(request, runs, as_it_was))


async def _pieces(response: StreamingResponse) -> AsyncIterator[bytes]:
    async for piece in response.body_iterator:
        yield bytes(piece)  # type: ignore[arg-type]


def _status(code: int, message: str, **parameters: Parameter) -> Fault:
    return Fault(str(code), "Statuses", f"Responds {code}.", partial(_respond, code, message), parameters=parameters)


_Text = Annotated[str, Field(pattern="^[ -~]*$", coerce_numbers_to_str=True)]
_TAKEN: Mapping[str, Parameter] = {"taken": (bool, False)}
_FOREIGN: Mapping[str, Parameter] = {
    "status": (Annotated[int, Field(ge=200, le=599)], 500),
    "body": (str, '{"error": {"code": "internal", "detail": "Something went wrong"}}'),
    "content_type": (_Text, "application/json"),
}

_TABLE = (
    Fault("refused", "Connections", "Refuses connections and resets open ones while the rule is active. The rule "
          "has no fields.", _reset, refuses=True),
    Fault("connection closed", "Connections", "Closes the connection after it has read the request.", _close),
    Fault("request reset", "Connections", "Resets the connection after it has read the request.", _reset),
    Fault("answer reset", "Connections", "Resets the connection instead of responding.", _reset, True),
    Fault("answer lost", "Connections", "Closes the connection instead of responding.", _close, True),
    Fault("slow answer", "Timing", "Carries out the request, waits for 'seconds', and responds.", _delay,
          True, {"seconds": (NonNegativeFloat, 5.0)}),
    Fault("hanging", "Timing", "Never responds, and keeps the connection open.", _hang, False, _TAKEN),
    Fault("body cut off", "Timing", "Sends 'part' of the body, from 0 to below 1, and closes the connection.",
          partial(_cut, _close), True, {"part": (Annotated[float, Field(ge=0, lt=1)], 0.5)}),
    _status(401, "A valid token is needed: Authorization: Bearer ..."),
    _status(403, "The account may not do this"),
    _status(404, "Not found"),
    _status(409, "The run is not interrupted, or that interrupt is not pending"),
    _status(422, "The request cannot be processed"),
    _status(429, "Too many requests", retry_after=(_Text | None, "1")),
    _status(500, "Internal error", **_TAKEN),
    _status(502, "Bad gateway", **_TAKEN),
    _status(503, "The service is unavailable", retry_after=(_Text | None, None), **_TAKEN),
    _status(504, "Gateway timeout", **_TAKEN),
    Fault("truncated JSON", "Bodies", "Sends the first half of the body as if it were whole.",
          _changed(lambda body: body[: len(body) // 2]), True),
    Fault("malformed JSON", "Bodies", "Sends a body with a brace too many.", _changed(lambda body: b"{" + body), True),
    Fault("empty body", "Bodies", "Sends an empty body.", _changed(lambda body: b""), True),
    Fault("proxy page", "Bodies", "Responds 200 with the HTML page of a proxy.", _foreign_response, False, _TAKEN),
    Fault("foreign error", "Bodies", "Responds with an error body that is not in the contract, or with any other body.",
          _foreign_response, False, {**_FOREIGN, **_TAKEN}),
    Fault("unknown status", "Content", "Gives each run and thread a status that is not in the contract.",
          _changed_objects(_with_status), True, {"status": (str, "paused")}),
    Fault("unknown fields", "Content", "Adds a field that is not in the contract to each object.",
          _changed_objects(lambda value: value | {"x_unknown": {"since": "tomorrow", "values": [1, None]}}), True),
    Fault("listing lags", "Content", "Shows the listing of runs as it was 'seconds' ago.", _listing_lags,
          True, {"seconds": (NonNegativeFloat, 2.0)}, "GET /v1/runs"),
    Fault("stream cut", "Streams", "Closes the connection in the middle of an event, after some whole 'events'.",
          partial(_cut, _close), True, {"events": (NonNegativeInt, 1)}, _STREAM),
    Fault("stream silent", "Streams", "Sends some 'events', and no more, and keeps the connection open.",
          partial(_cut, _hang, part=0), True, {"events": (NonNegativeInt, 0)}, _STREAM),
)  # fmt: skip

#: All faults by name.
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _TABLE}
