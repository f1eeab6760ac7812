# SPDX-License-Identifier: Apache-2.0
"""The table of all faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from starlette.requests import Request

from airflow_provider_agentruns.emulator.faults import effects
from airflow_provider_agentruns.emulator.service import Service

#: A JSON schema with a default and a description.
Schema = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """
    One fault.

    :param does: A sentence about the fault.
    :param carried_out: Whether the service carries out the request. The parameter ``taken`` overrides it.
    :param condition: Takes a request and the parameters, and returns whether the fault can apply.
    """

    name: str
    group: str
    does: str
    effect: effects.Effect = effects.hang
    carried_out: bool = False
    parameters: Mapping[str, Schema] = field(default_factory=dict)
    applies_to: Literal["request", "connection", "service"] = "request"
    condition: Callable[[Request, Mapping[str, Any]], bool] = lambda request, parameters: True

    @property
    def description(self) -> str:
        """Two sentences about the fault."""
        by_default = " by default" if "taken" in self.parameters else ""
        return f"{self.does} The request is {'' if self.carried_out else 'not '}carried out{by_default}."


def _is_stream(request: Request, _: Mapping[str, Any]) -> bool:
    return request.method == "GET" and request.url.path.endswith("/stream")


def _is_run_listing(request: Request, _: Mapping[str, Any]) -> bool:
    return (request.method, request.url.path) == ("GET", "/v1/runs")


def _is_new_run(request: Request, parameters: Mapping[str, Any]) -> bool:
    service: Service = request.app.state.service
    run = service.runs.get(request.url.path.removeprefix("/v1/runs/").partition("/")[0])
    return run is not None and service.clock() - run.created_at < timedelta(seconds=parameters["seconds"])


def _schema(kind: str | list[str], default: Any, description: str, **limits: Any) -> Schema:
    return {"type": kind, "default": default, "description": description, **limits}


def _number(default: float, description: str, **limits: float) -> Schema:
    return _schema("number", default, description, **{"minimum": 0, **limits})


def _integer(default: int, description: str, **limits: Any) -> Schema:
    return _schema("integer", default, description, **{"minimum": 0, **limits})


def _retry_after(default: int | None) -> Schema:
    description = "Retry-After header: seconds or any text, such as an HTTP date; null omits the header"
    return _schema(["number", "string", "null"], default, description, **_HEADER)


def _status(code: int, message: str, **parameters: Schema) -> Fault:
    return Fault(str(code), "Statuses", f"Responds {code}.", effects.status(code, message), parameters=parameters)


_HEADER = {"pattern": r"^[ -~]*\Z"}
_STATUS = {"minimum": 200, "maximum": 599, "not": {"enum": [204, 304]}}
_TAKEN = {"taken": _schema("boolean", False, "Whether the request is carried out")}
_TEN_YEARS = 10 * 365 * 86400


_TABLE = (
    Fault("refused", "Connections", "Refuses connections and resets open ones while the rule is active. The rule "
          "has no other fields.", applies_to="service"),
    Fault("connection closed", "Connections", "Closes a new connection before it reads a request. The rule counts "
          "connections and has no method or path.", applies_to="connection"),
    Fault("request reset", "Connections", "Resets the connection after it has read the request.", effects.reset),
    Fault("answer reset", "Connections", "Resets the connection instead of responding.", effects.reset, True),
    Fault("answer lost", "Connections", "Closes the connection instead of responding.", effects.close, True),
    Fault("slow answer", "Timing", "Carries out the request, waits, and responds.", effects.delay, True,
          {"seconds": _number(5.0, "Delay")}),
    Fault("slow body", "Timing", "Sends the body in small pieces.", effects.slow_body, True,
          {"size": _integer(1, "Bytes in a piece", minimum=1), "pause": _number(0.05, "Seconds between two pieces")}),
    Fault("hanging", "Timing", "Never responds, and keeps the connection open.", effects.hang, False, _TAKEN),
    Fault("body cut off", "Timing", "Sends a part of the body and closes the connection.", effects.cut_off, True,
          {"part": _number(0.5, "Part of the body, from 0 to below 1", exclusiveMaximum=1)}),
    _status(401, "A valid token is needed: Authorization: Bearer ..."),
    _status(403, "The account may not do this"),
    _status(404, "Not found"),
    Fault("404 at first", "Statuses", "Responds 404 to requests for a run that is newer than some seconds.",
          effects.status(404, "Not found"), False, {"seconds": _number(1.0, "Age from which a run is visible")},
          condition=_is_new_run),
    _status(409, "The run is not interrupted, or that interrupt is not pending"),
    _status(422, "The request cannot be processed"),
    _status(429, "Too many requests", retry_after=_retry_after(1)),
    _status(500, "Internal error", **_TAKEN),
    _status(502, "Bad gateway", **_TAKEN),
    _status(503, "The service is unavailable", retry_after=_retry_after(None), **_TAKEN),
    _status(504, "Gateway timeout", **_TAKEN),
    Fault("truncated JSON", "Bodies", "Sends the first half of the body as if it were whole.",
          effects.changed_bytes(lambda body: body[: len(body) // 2]), True),
    Fault("malformed JSON", "Bodies", "Sends a body with a brace too many.",
          effects.changed_bytes(lambda body: b"{" + body), True),
    Fault("empty body", "Bodies", "Sends an empty body.", effects.changed_bytes(lambda body: b""), True),
    Fault("proxy page", "Bodies", "Responds with the HTML page of a proxy.", effects.foreign_response, False,
          {"status": _integer(200, "Status of the response", **_STATUS), **_TAKEN}),
    Fault("foreign error", "Bodies", "Responds with an error body that is not in the contract, or with any other body.",
          effects.foreign_response, False,
          {"status": _integer(500, "Status of the response", **_STATUS),
           "body": _schema("string", '{"error": {"code": "internal", "detail": "Something went wrong"}}', "Body"),
           "content_type": _schema("string", "application/json", "Content type", **_HEADER), **_TAKEN}),
    Fault("redirect", "Bodies", "Redirects to the same path on 127.0.0.2, where nothing listens.", effects.redirect,
          False, {"status": _integer(302, "Status of the response", enum=[301, 302, 303, 307, 308])}),
    Fault("unknown status", "Content", "Gives each run and thread a status that is not in the contract.",
          effects.changed_json(effects.unknown_status), True, {"status": _schema("string", "paused", "The status")}),
    Fault("unknown fields", "Content", "Adds a field that is not in the contract to each object.",
          effects.changed_json(effects.unknown_fields), True),
    Fault("clock skew", "Content", "Shifts the Date header and all times.", effects.clock_skew, True,
          {"seconds": _number(3600.0, "Shift; below 0 into the past", minimum=-_TEN_YEARS, maximum=_TEN_YEARS)}),
    Fault("listing lags", "Content", "Shows the listing of runs as it was some seconds ago.", effects.listing_lags,
          True, {"seconds": _number(2.0, "Age of the listing")}, condition=_is_run_listing),
    Fault("stream cut", "Streams", "Closes the connection in the middle of an event.", effects.stream_cut, True,
          {"events": _integer(1, "Number of whole events before")}, condition=_is_stream),
    Fault("stream silent", "Streams", "Stops sending events, and keeps the connection open.", effects.stream_silent,
          True, {"events": _integer(0, "Number of events before")}, condition=_is_stream),
)  # fmt: skip

#: All faults by name.
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _TABLE}


def describe() -> str:
    """Return the table as text."""
    lines = []
    for fault in FAULTS.values():
        lines.append(f"{fault.name}: {fault.description}")
        for name, schema in fault.parameters.items():
            lines.append(f"    {name}={json.dumps(schema['default'])}: {schema['description']}")
    return "\n".join(lines)
