# SPDX-License-Identifier: Apache-2.0
"""
The contract as data: with what it says in words only, and with what one service holds, so that much is found there.
"""

from __future__ import annotations

import copy
from typing import Any

from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.service import Service
from tests.emulator.contract import BUSINESS_ID, CONTRACT

_ERRORS = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}}

#: What any request may be answered with, and any that has a body or counts pages.
_ALWAYS = {"401": "No token that is good.", "429": "Too many requests."}
_WITH_BODY = {"400": "The body is not JSON, or names no context.", "422": "The body does not fit."}
_WITH_PAGES = {"422": "No such page."}

#: The largest page number and page size that make sense.
_MOST = 10**18 - 1

#: As Python has it; to a regular expression of JavaScript, blank is a little less, and a little more.
_NOT_BLANK = r"[^\s\x1c-\x1f\x85]|\ufeff"

#: How schemathesis shows an event of a stream.
_EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {"event": {"enum": ["RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED"]}, "data": {"type": "string"}},
}


def seeded() -> Service:
    """Make a service that holds runs of each status, and never changes by itself."""
    service = Service(speed=1e6)
    for agent in ("instant", "fails", "needs_approval", "two_questions"):
        for _ in range(3):
            service.create_run(agent, business_id=BUSINESS_ID)
    return service


def contract_of(service: Service) -> dict[str, Any]:
    """
    Return the contract of a service, in which an id is one of those that it holds.

    Whoever draws requests from it then draws such as are carried out; and such with unknown ids as well, where what is
    to be refused is drawn.
    """
    contract: dict[str, Any] = copy.deepcopy(CONTRACT)
    for path, operations in contract["paths"].items():
        for method, operation in operations.items():
            _document(operation, method)
            runs = _runs(service, path)
            for parameter in operation.get("parameters", ()):
                _narrow_parameter(parameter, _ids(service, runs, path))
            if method == "post":
                _narrow_body(operation["requestBody"]["content"]["application/json"]["schema"], service, runs)
    _put_words_into_schemas(contract["paths"])
    return contract


def _document(operation: dict[str, Any], method: str) -> None:
    statuses = dict(_ALWAYS)
    if method == "post":
        statuses |= _WITH_BODY
    if any(parameter["name"] == "page" for parameter in operation.get("parameters", ())):
        statuses |= _WITH_PAGES
    for status, words in statuses.items():
        operation["responses"].setdefault(status, {"description": words, **_ERRORS})


def _runs(service: Service, path: str) -> list[Run]:
    """Return runs with which an operation does something, and few enough that what goes together is found."""
    runs = list(service.runs.values())
    if path.endswith("/resume"):
        return [run for run in runs if run.interrupts][:2]
    if path.endswith("/feedback"):
        return [run for run in runs if run.artifacts][:1]
    # The stream of a run that has not ended would not end either.
    return [run for run in runs if run.finished or not path.endswith("/stream")]


def _ids(service: Service, runs: list[Run], path: str) -> list[str]:
    if path.startswith("/v1/agents"):
        return [agent["id"] for agent in service.agents()]
    return [run.thread_id if path.startswith("/v1/threads") else run.id for run in runs]


def _narrow_parameter(parameter: dict[str, Any], ids: list[str]) -> None:
    if parameter["in"] == "path":
        parameter["schema"]["enum"] = ids
    elif parameter["schema"]["type"] == "integer":
        parameter["schema"] = {"type": "integer", "minimum": 1, "maximum": _MOST}


def _narrow_body(schema: dict[str, Any], service: Service, runs: list[Run]) -> None:
    held = {
        "type": [agent["type"] for agent in service.agents()],
        "thread_id": [run.thread_id for run in runs],
        "interrupt_id": [interrupt["id"] for run in runs for interrupt in run.interrupts],
        "artifact_id": sorted(artifact["id"] for run in runs for artifact in run.artifacts),
    }
    for name in held.keys() & schema["properties"].keys():
        schema["properties"][name]["enum"] = held[name]


def _put_words_into_schemas(paths: dict[str, Any]) -> None:
    """Say as a schema how the fields of a body go together, and what the listing of threads looks like."""
    for path in ("/v1/runs", "/v1/threads"):
        paths[path]["post"]["requestBody"]["required"] = True
        body = paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        for name in ("business_id", "context_type", "context_id"):
            # The offline service takes any text that is not blank, for the sake of tests.
            body["properties"][name] = {"type": "string", "pattern": _NOT_BLANK}
        body["dependentRequired"] = {"context_type": ["context_id"], "context_id": ["context_type"]}
        body["not"] = {"required": ["business_id", "context_id"]}
    run = paths["/v1/runs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    run["anyOf"] = [{"required": [name]} for name in ("business_id", "context_id", "thread_id")]
    listing = copy.deepcopy(CONTRACT["components"]["schemas"]["RunList"])
    listing["properties"]["data"]["items"] = {"$ref": "#/components/schemas/Thread"}
    paths["/v1/threads"]["get"]["responses"]["200"]["content"] = {"application/json": {"schema": listing}}
    events = paths["/v1/runs/{id}/stream"]["get"]["responses"]["200"]["content"]
    events["text/event-stream"] = {"schema": _EVENT}
    paths["/v1/runs/{id}/resume"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"][
        "input"
    ] = {"type": ["object", "array", "string", "number", "boolean"]}
