# SPDX-License-Identifier: Apache-2.0
"""The web application: one handler for each operation of the contract, and how it reads requests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from airflow_provider_agentruns.emulator.auth import Auth, Token
from airflow_provider_agentruns.emulator.errors import RequestError, error_response, on_bug, on_http_exception
from airflow_provider_agentruns.emulator.paging import Page
from airflow_provider_agentruns.emulator.scripts import Json
from airflow_provider_agentruns.emulator.service import Service
from airflow_provider_agentruns.emulator.streaming import events_of
from airflow_provider_agentruns.emulator.validation import is_uuid

_CREATED = 201
_MAX_COMMENT = 5000
_PAGE_SIZE = 20
_MAX_PAGE_SIZE = 100
# Python parses longer numbers slowly.
_INTEGER = re.compile(r"[0-9]{1,18}")


def create_app(
    service: Service,
    *,
    token: Token | None = None,
    rate_limit: int | None = None,
    feedback_enabled: bool = True,
    middleware: Sequence[Middleware] = (),
) -> Starlette:
    """
    Return the web application of a service.

    :param token: The valid token. None accepts any token.
    :param rate_limit: Requests per second. None means no limit.
    :param feedback_enabled: Whether the account may rate artifacts.
    :param middleware: Outermost middleware.
    """
    auth = Middleware(Auth, token=token or Token(None), rate_limit=rate_limit)
    app = Starlette(
        routes=_Operations(service, feedback_enabled=feedback_enabled).routes(),
        middleware=[*middleware, auth],
        exception_handlers={HTTPException: on_http_exception, Exception: on_bug},
    )
    app.router.redirect_slashes = False
    return app


class _Operations:
    def __init__(self, service: Service, *, feedback_enabled: bool) -> None:
        self._service = service
        self._feedback_enabled = feedback_enabled

    def routes(self) -> list[Route]:
        return [
            Route("/v1/runs", self.list_runs, methods=["GET"]),
            Route("/v1/runs", self.create_run, methods=["POST"]),
            Route("/v1/runs/{id}", self.get_run, methods=["GET"]),
            Route("/v1/runs/{id}/resume", self.resume_run, methods=["POST"]),
            Route("/v1/runs/{id}/stream", self.stream_run, methods=["GET"]),
            Route("/v1/runs/{id}/feedback", self.rate_artifact, methods=["POST"]),
            Route("/v1/threads", self.list_threads, methods=["GET"]),
            Route("/v1/threads", self.create_thread, methods=["POST"]),
            Route("/v1/threads/{id}", self.get_thread, methods=["GET"]),
            Route("/v1/agents", self.list_agents, methods=["GET"]),
            Route("/v1/agents/{id}", self.get_agent, methods=["GET"]),
        ]

    async def list_runs(self, request: Request) -> Response:
        page = self._service.list_runs(*page_and_size(request))
        return JSONResponse(listing(page, (run.as_json() for run in page.items)))

    async def create_run(self, request: Request) -> Response:
        body = await _json_object(request)
        thread_id = _optional_text(body, "thread_id")
        run = self._service.create_run(_text(body, "type"), **_context_fields(body), thread_id=thread_id)
        return JSONResponse(run.as_json(), _CREATED)

    async def get_run(self, request: Request) -> Response:
        run = self._service.get_run(request.path_params["id"])
        return JSONResponse(run.as_json(steps=_wants_steps(request)))

    async def resume_run(self, request: Request) -> Response:
        run = self._service.get_run(request.path_params["id"])
        body = await _json_object(request)
        run = self._service.answer(run.id, _text(body, "interrupt_id"), body.get("input"))
        return JSONResponse(run.as_json(steps=_wants_steps(request)))

    async def stream_run(self, request: Request) -> Response:
        run = self._service.get_run(request.path_params["id"])
        return StreamingResponse(
            events_of(self._service, run.id), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def rate_artifact(self, request: Request) -> Response:
        if not self._feedback_enabled:
            return error_response(403, "Feedback is not enabled on this account")
        run = self._service.get_run(request.path_params["id"])
        body = await _json_object(request)
        rating, artifact_id, comment = _text(body, "rating"), _text(body, "artifact_id"), body.get("comment")
        if rating not in ("POSITIVE", "NEGATIVE"):
            raise RequestError(422, "rating must be POSITIVE or NEGATIVE", "rating")
        if not is_uuid(artifact_id):
            raise RequestError(422, "artifact_id must be a UUID", "artifact_id")
        if comment is not None and not (isinstance(comment, str) and len(comment) <= _MAX_COMMENT):
            raise RequestError(422, f"comment must be null or a string of at most {_MAX_COMMENT} characters", "comment")
        return JSONResponse(self._service.rate(run.id, artifact_id, rating, comment), _CREATED)

    async def list_threads(self, request: Request) -> Response:
        page = self._service.list_threads(*page_and_size(request), business_id=request.query_params.get("business_id"))
        return JSONResponse(listing(page, (thread.as_json() for thread in page.items)))

    async def create_thread(self, request: Request) -> Response:
        body = await _json_object(request)
        thread = self._service.create_thread(_text(body, "type"), **_context_fields(body))
        return JSONResponse(thread.as_json(), _CREATED)

    async def get_thread(self, request: Request) -> Response:
        return JSONResponse(self._service.get_thread(request.path_params["id"]).as_json(steps=True))

    async def list_agents(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": self._service.list_agents()})

    async def get_agent(self, request: Request) -> Response:
        return JSONResponse(self._service.get_agent(request.path_params["id"]))


def listing(page: Page[object], data: Iterable[Json]) -> Json:
    """Return a page of a listing as the service shows it."""
    return {"object": "list", "has_more": page.has_more, "total_count": page.total_count, "data": list(data)}


def page_and_size(request: Request) -> tuple[int, int]:
    """
    Return the number and the size of the page that a request asks for.

    :raises RequestError: If either is not an integer of at least 1.
    """
    return _positive(request, "page", 1), min(_positive(request, "per_page", _PAGE_SIZE), _MAX_PAGE_SIZE)


def _positive(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    if not _INTEGER.fullmatch(given) or int(given) < 1:
        raise RequestError(422, f"{name} must be an integer of at least 1", name)
    return int(given)


def _wants_steps(request: Request) -> bool:
    return "steps" in (name.strip() for name in request.query_params.get("include", "").split(","))


async def _json_object(request: Request) -> Json:
    raw = await request.body()
    try:
        body = json.loads(raw.decode())
        # Python reads NaN, 1e999, and half a surrogate pair, but cannot write them as JSON.
        json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise RequestError(400, "The body is not JSON") from None
    if not isinstance(body, dict):
        raise RequestError(422, "The body must be a JSON object")
    return body


def _text(body: Json, name: str) -> str:
    value = _optional_text(body, name)
    if value is None:
        raise RequestError(422, f"{name} is missing", name)
    return value


def _optional_text(body: Json, name: str) -> str | None:
    if name not in body:
        return None
    value = body[name]
    if not isinstance(value, str) or not value.strip():
        raise RequestError(422, f"{name} must be a string that is not blank", name)
    return value


def _context_fields(body: Json) -> dict[str, str | None]:
    return {name: _optional_text(body, name) for name in ("business_id", "context_type", "context_id")}
