# SPDX-License-Identifier: Apache-2.0
"""
The table of all faults, and their code.

An effect takes a request, the response or None if the request was not carried out, and the fault's parameters. It
returns the response to send, or None if it broke the connection.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from airflow_provider_agentruns.emulator.app import error_response, page_of
from airflow_provider_agentruns.emulator.runs import Run, timestamp
from airflow_provider_agentruns.emulator.script_steps import Json
from airflow_provider_agentruns.emulator.service import Service
from airflow_provider_agentruns.emulator.web_server import reset_connection, transport_of

Effect = Callable[..., Awaitable[Response | None]]

_PAGE = "<!DOCTYPE html><html><head><title>Gateway</title></head><body><h1>Please sign in</h1></body></html>"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@dataclass(frozen=True)
class Fault:
    """
    One fault.

    :param does: A sentence about the fault.
    :param carried_out: Whether the service carries out the request. The parameter ``taken`` overrides it.
    :param parameters: A JSON schema with a default and a description for each parameter.
    :param condition: Takes a request and the parameters, and returns whether the fault can apply.
    :param refuses: Whether the fault makes the whole service unreachable.
    """

    name: str
    group: str
    does: str
    effect: Effect
    carried_out: bool = False
    parameters: Mapping[str, Json] = field(default_factory=dict)
    condition: Callable[[Request, Mapping[str, Any]], bool] = lambda request, parameters: True
    refuses: bool = False

    @property
    def description(self) -> str:
        by_default = " by default" if "taken" in self.parameters else ""
        return f"{self.does} The request is {'' if self.carried_out else 'not '}carried out{by_default}."


async def _hang(request: Request, _: Response | None = None, *, seconds: float | None = None) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass


async def _close(request: Request, _: Response | None = None) -> None:
    transport_of(request.scope).close()
    await _hang(request)


async def _reset(request: Request, _: Response | None = None) -> None:
    reset_connection(transport_of(request.scope))
    await _hang(request)


async def _delay(request: Request, response: Response, *, seconds: float) -> Response:
    await _hang(request, seconds=seconds)
    return response


async def _slow_body(_: Request, response: StreamingResponse, *, size: int, pause: float) -> Response:
    async def slowed() -> AsyncIterator[bytes]:
        async for piece in _pieces(response):
            for start in range(0, len(piece), size):
                yield piece[start : start + size]
                await asyncio.sleep(pause)

    return _with_body(response, slowed())


async def _cut_off(request: Request, response: StreamingResponse, *, part: float) -> Response:
    body = await _body(response)
    response.headers["content-length"] = str(max(len(body), 1))

    async def cut() -> AsyncIterator[bytes]:
        yield body[: int(len(body) * part)]
        await _close(request)

    return _with_body(response, cut())


async def _stream_cut(request: Request, response: StreamingResponse, *, events: int) -> Response:
    async def cut() -> AsyncIterator[bytes]:
        pieces = _pieces(response)
        for _ in range(events):
            yield await anext(pieces, b"")
        event = await anext(pieces, b"")
        yield event[: len(event) // 2]
        await _close(request)

    return _with_body(response, cut())


async def _stream_silent(request: Request, response: StreamingResponse, *, events: int) -> Response:
    async def first() -> AsyncIterator[bytes]:
        pieces = _pieces(response)
        for _ in range(events):
            yield await anext(pieces, b"")
        await _hang(request)

    return _with_body(response, first())


def _respond(code: int, message: str) -> Effect:
    async def respond(
        request: Request, response: Response | None, *, retry_after: float | str | None = None, **_: Any
    ) -> Response:
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return error_response(code, message, headers=headers)

    return respond


async def _foreign_response(
    request: Request, _: Response | None, *, status: int, body: str = _PAGE, content_type: str = "text/html"
) -> Response:
    return Response(body, status, media_type=content_type)


async def _redirect(request: Request, _: Response | None, *, status: int) -> Response:
    scope = request.scope
    location = f"http://127.0.0.2:{scope['server'][1]}{quote(scope['path'])}"
    return Response(status_code=status, headers={"Location": location})


def _changed_bytes(damage: Callable[[bytes], bytes]) -> Effect:
    async def respond(request: Request, response: StreamingResponse) -> Response:
        return _with_body(response, damage(await _body(response)))

    return respond


def _changed_json(change: Callable[..., Any]) -> Effect:
    """Return a fault that changes all values in the JSON of a body or of each event, inner values first."""

    async def respond(request: Request, response: StreamingResponse, **fields: Any) -> Response:
        def changed(value: Any) -> Any:
            if isinstance(value, dict):
                value = {name: changed(it) for name, it in value.items()}
            elif isinstance(value, list):
                value = [changed(it) for it in value]
            return change(value, **fields)

        def changed_text(text: bytes) -> bytes:
            return json.dumps(changed(json.loads(text))).encode()

        async def changed_events() -> AsyncIterator[bytes]:
            async for event in _pieces(response):
                head, data = event.split(b"data: ", 1)
                yield head + b"data: " + changed_text(data) + b"\n\n"

        return _with_body(response, changed_events() if _is_stream(response) else changed_text(await _body(response)))

    return respond


def _unknown_status(value: Any, *, status: str) -> Any:
    is_run = isinstance(value, dict) and value.get("object") in ("run", "thread")
    return value | {"status": status} if is_run else value


def _unknown_fields(value: Any) -> Any:
    return value | {"x_unknown": {"since": "tomorrow", "values": [1, None]}} if isinstance(value, dict) else value


async def _clock_skew(request: Request, response: Response, *, seconds: float) -> Response | None:
    def shifted(value: Any) -> Any:
        if isinstance(value, str) and _TIME.fullmatch(value):
            return timestamp(datetime.fromisoformat(value) + timedelta(seconds=seconds))
        return value

    response.headers["date"] = formatdate(time.time() + seconds, usegmt=True)
    return await _changed_json(shifted)(request, response)


async def _listing_lags(request: Request, response: Response, *, seconds: float) -> Response:
    if response.status_code != 200:
        return response
    service: Service = request.app.state.service
    at = service.clock() - timedelta(seconds=seconds)

    def as_it_was(run: Run) -> Json:
        return run.as_json(state=next(state for state in reversed(run.states) if state.since <= at))

    runs = [run for run in service.runs.values() if run.created_at <= at]
    return _with_body(response, json.dumps(page_of(request, runs, as_it_was)).encode())


def _with_body(response: Response, body: bytes | AsyncIterator[bytes]) -> Response:
    if not isinstance(body, bytes):
        return StreamingResponse(body, response.status_code, response.headers)
    changed = Response(body, response.status_code, response.headers)
    changed.headers["content-length"] = str(len(body))
    return changed


async def _pieces(response: StreamingResponse) -> AsyncIterator[bytes]:
    async for piece in response.body_iterator:
        yield bytes(piece)  # type: ignore[arg-type]


async def _body(response: StreamingResponse) -> bytes:
    """Return the body. Of a stream, return the first event."""
    if _is_stream(response):
        return await anext(_pieces(response))
    return b"".join([piece async for piece in _pieces(response)])


def _is_stream(response: Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/event-stream")


def _requests_stream(request: Request, _: Mapping[str, Any]) -> bool:
    return request.method == "GET" and request.url.path.endswith("/stream")


def _requests_listing(request: Request, _: Mapping[str, Any]) -> bool:
    return (request.method, request.url.path) == ("GET", "/v1/runs")


def _requests_new_run(request: Request, parameters: Mapping[str, Any]) -> bool:
    service: Service = request.app.state.service
    run = service.runs.get(request.url.path.removeprefix("/v1/runs/").partition("/")[0])
    return run is not None and service.clock() - run.created_at < timedelta(seconds=parameters["seconds"])


_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def _parameter(default: Any, description: str, **limits: Any) -> Json:
    return {"type": _TYPES.get(type(default)), "default": default, "description": description, "minimum": 0, **limits}


def _retry_after(default: int | None) -> Json:
    description = "Retry-After header: seconds or any text, such as an HTTP date; null omits the header"
    return _parameter(default, description, type=["number", "string", "null"], **_HEADER)


def _status(code: int, message: str, **parameters: Json) -> Fault:
    return Fault(str(code), "Statuses", f"Responds {code}.", _respond(code, message), parameters=parameters)


_HEADER = {"pattern": r"^[ -~]*\Z"}
_STATUS = {"minimum": 200, "maximum": 599, "not": {"enum": [204, 304]}}
_TAKEN = {"taken": _parameter(False, "Whether the request is carried out")}
_TEN_YEARS = 10 * 365 * 86400


_TABLE = (
    Fault("refused", "Connections", "Refuses connections and resets open ones while the rule is active. The rule "
          "has no other fields.", _reset, refuses=True),
    Fault("connection closed", "Connections", "Closes the connection after it has read the request.", _close),
    Fault("request reset", "Connections", "Resets the connection after it has read the request.", _reset),
    Fault("answer reset", "Connections", "Resets the connection instead of responding.", _reset, True),
    Fault("answer lost", "Connections", "Closes the connection instead of responding.", _close, True),
    Fault("slow answer", "Timing", "Carries out the request, waits, and responds.", _delay, True,
          {"seconds": _parameter(5.0, "Delay")}),
    Fault("slow body", "Timing", "Sends the body in small pieces.", _slow_body, True,
          {"size": _parameter(1, "Bytes in a piece", minimum=1),
           "pause": _parameter(0.05, "Seconds between two pieces")}),
    Fault("hanging", "Timing", "Never responds, and keeps the connection open.", _hang, False, _TAKEN),
    Fault("body cut off", "Timing", "Sends a part of the body and closes the connection.", _cut_off, True,
          {"part": _parameter(0.5, "Part of the body, from 0 to below 1", exclusiveMaximum=1)}),
    _status(401, "A valid token is needed: Authorization: Bearer ..."),
    _status(403, "The account may not do this"),
    _status(404, "Not found"),
    Fault("404 at first", "Statuses", "Responds 404 to requests for a run that is newer than some seconds.",
          _respond(404, "Not found"), False, {"seconds": _parameter(1.0, "Age from which a run is visible")},
          _requests_new_run),
    _status(409, "The run is not interrupted, or that interrupt is not pending"),
    _status(422, "The request cannot be processed"),
    _status(429, "Too many requests", retry_after=_retry_after(1)),
    _status(500, "Internal error", **_TAKEN),
    _status(502, "Bad gateway", **_TAKEN),
    _status(503, "The service is unavailable", retry_after=_retry_after(None), **_TAKEN),
    _status(504, "Gateway timeout", **_TAKEN),
    Fault("truncated JSON", "Bodies", "Sends the first half of the body as if it were whole.",
          _changed_bytes(lambda body: body[: len(body) // 2]), True),
    Fault("malformed JSON", "Bodies", "Sends a body with a brace too many.",
          _changed_bytes(lambda body: b"{" + body), True),
    Fault("empty body", "Bodies", "Sends an empty body.", _changed_bytes(lambda body: b""), True),
    Fault("proxy page", "Bodies", "Responds with the HTML page of a proxy.", _foreign_response, False,
          {"status": _parameter(200, "Status of the response", **_STATUS), **_TAKEN}),
    Fault("foreign error", "Bodies", "Responds with an error body that is not in the contract, or with any other body.",
          _foreign_response, False,
          {"status": _parameter(500, "Status of the response", **_STATUS),
           "body": _parameter('{"error": {"code": "internal", "detail": "Something went wrong"}}', "Body"),
           "content_type": _parameter("application/json", "Content type", **_HEADER), **_TAKEN}),
    Fault("redirect", "Bodies", "Redirects to the same path on 127.0.0.2, where nothing listens.", _redirect,
          False, {"status": _parameter(302, "Status of the response", enum=[301, 302, 303, 307, 308])}),
    Fault("unknown status", "Content", "Gives each run and thread a status that is not in the contract.",
          _changed_json(_unknown_status), True, {"status": _parameter("paused", "The status")}),
    Fault("unknown fields", "Content", "Adds a field that is not in the contract to each object.",
          _changed_json(_unknown_fields), True),
    Fault("clock skew", "Content", "Shifts the Date header and all times.", _clock_skew, True,
          {"seconds": _parameter(3600.0, "Shift; below 0 into the past", minimum=-_TEN_YEARS, maximum=_TEN_YEARS)}),
    Fault("listing lags", "Content", "Shows the listing of runs as it was some seconds ago.", _listing_lags,
          True, {"seconds": _parameter(2.0, "Age of the listing")}, _requests_listing),
    Fault("stream cut", "Streams", "Closes the connection in the middle of an event.", _stream_cut, True,
          {"events": _parameter(1, "Number of whole events before")}, _requests_stream),
    Fault("stream silent", "Streams", "Stops sending events, and keeps the connection open.", _stream_silent,
          True, {"events": _parameter(0, "Number of events before")}, _requests_stream),
)  # fmt: skip

#: All faults by name.
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _TABLE}


def describe() -> str:
    lines = []
    for fault in FAULTS.values():
        lines.append(f"{fault.name}: {fault.description}")
        for name, schema in fault.parameters.items():
            lines.append(f"    {name}={json.dumps(schema['default'])}: {schema['description']}")
    return "\n".join(lines)
