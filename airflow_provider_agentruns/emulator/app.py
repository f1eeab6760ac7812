# SPDX-License-Identifier: Apache-2.0
"""The web application: one handler per operation of the contract, behind authentication."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field, PositiveInt, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from airflow_provider_agentruns.emulator.script_steps import Context, Json
from airflow_provider_agentruns.emulator.service import RequestError, Service

T = TypeVar("T")

_Text = Annotated[str, Field(pattern=r"\S")]


class _Thread(BaseModel):
    agent: _Text = Field(alias="type")
    business_id: _Text = ""
    context_type: _Text = ""
    context_id: _Text = ""


class _Run(_Thread):
    thread_id: _Text = ""


class _Answer(BaseModel):
    interrupt_id: _Text
    # Any JSON value but null.
    answer: str | bool | int | float | list[Any] | dict[str, Any] = Field(alias="input")


class _Rating(BaseModel):
    rating: Literal["POSITIVE", "NEGATIVE"]
    artifact_id: UUID
    comment: str | None = Field(None, max_length=5000)


class _Page(BaseModel):
    page: PositiveInt = 1
    per_page: PositiveInt = 20


def create_app(service: Service, middleware: Sequence[Middleware]) -> Starlette:
    operations = _Operations(service)
    app = Starlette(
        routes=[
            Route("/v1/runs", operations.list_runs, methods=["GET"]),
            Route("/v1/runs", operations.create_run, methods=["POST"]),
            Route("/v1/runs/{id}", operations.get_run, methods=["GET"]),
            Route("/v1/runs/{id}/resume", operations.resume_run, methods=["POST"]),
            Route("/v1/runs/{id}/stream", operations.stream_run, methods=["GET"]),
            Route("/v1/runs/{id}/feedback", operations.rate_artifact, methods=["POST"]),
            Route("/v1/threads", operations.list_threads, methods=["GET"]),
            Route("/v1/threads", operations.create_thread, methods=["POST"]),
            Route("/v1/threads/{id}", operations.get_thread, methods=["GET"]),
            Route("/v1/agents", operations.list_agents, methods=["GET"]),
            Route("/v1/agents/{id}", operations.get_agent, methods=["GET"]),
        ],
        middleware=middleware,
        exception_handlers=dict.fromkeys((HTTPException, ValidationError, Exception), _on_error),
    )
    app.router.redirect_slashes = False
    app.state.service = service
    return app


class _Operations:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def list_runs(self, request: Request) -> Response:
        return JSONResponse(page_of(request, self._service.runs.values(), lambda run: run.as_json()))

    async def create_run(self, request: Request) -> Response:
        run = self._service.create_run(**await _fields(request, _Run))
        return JSONResponse(run.as_json(), 201)

    async def get_run(self, request: Request) -> Response:
        run = self._service.get_run(request.path_params["id"])
        return JSONResponse(run.as_json(steps=_wants_steps(request)))

    async def resume_run(self, request: Request) -> Response:
        run = self._service.get_run(request.path_params["id"])
        run = self._service.answer(run.id, **await _fields(request, _Answer))
        return JSONResponse(run.as_json(steps=_wants_steps(request)))

    async def stream_run(self, request: Request) -> Response:
        run = self._service.get_run(request.path_params["id"])
        return StreamingResponse(self._events(run.id), media_type="text/event-stream")

    async def rate_artifact(self, request: Request) -> Response:
        run = self._service.get_run(request.path_params["id"])
        return JSONResponse(self._service.rate(run.id, **await _fields(request, _Rating)), 201)

    async def list_threads(self, request: Request) -> Response:
        business_id = request.query_params.get("business_id")
        business = Context("business", business_id)
        found = [it for it in self._service.threads.values() if business_id is None or it.context == business]
        return JSONResponse(page_of(request, found, lambda thread: thread.as_json()))

    async def create_thread(self, request: Request) -> Response:
        thread = self._service.create_thread(**await _fields(request, _Thread))
        return JSONResponse(thread.as_json(), 201)

    async def get_thread(self, request: Request) -> Response:
        return JSONResponse(self._service.get_thread(request.path_params["id"]).as_json(steps=True))

    async def list_agents(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": self._service.agents()})

    async def get_agent(self, request: Request) -> Response:
        agent_id = request.path_params["id"]
        for agent in self._service.agents():
            if agent["id"] == agent_id.lower():
                return JSONResponse(agent)
        raise RequestError(404, f"There is no agent {agent_id}")

    async def _events(self, run_id: str) -> AsyncIterator[str]:
        yield _event("RUN_STARTED", self._service.get_run(run_id).as_json(steps=True))
        sent = None
        while True:
            run = self._service.get_run(run_id)
            if run.updated_at != sent:
                snapshot, sent = run.as_json(steps=True), run.updated_at
                yield _event("STATE_SNAPSHOT", snapshot)
                if run.finished:
                    yield _event("RUN_FINISHED", snapshot)
                    return
            await asyncio.sleep(0.02)


def page_of(request: Request, oldest_first: Iterable[T], show: Callable[[T], Json]) -> Json:
    """Return the requested page of a listing, newest first."""
    items = list(oldest_first)[::-1]
    asked = _Page.model_validate(dict(request.query_params))
    size = min(asked.per_page, 100)
    start = (asked.page - 1) * size
    data = [show(item) for item in items[start : start + size]]
    return {"object": "list", "has_more": start + size < len(items), "total_count": len(items), "data": data}


def _wants_steps(request: Request) -> bool:
    return "steps" in (name.strip() for name in request.query_params.get("include", "").split(","))


async def _fields(request: Request, form: type[BaseModel]) -> Json:
    return form.model_validate_json(await request.body()).model_dump(mode="json", exclude_unset=True)


def _event(kind: str, snapshot: Json) -> str:
    event = {"type": kind, "run_id": snapshot["id"], "snapshot": snapshot}
    return f"event: {kind}\ndata: {json.dumps(event)}\n\n"


def error_response(
    status: int, message: str, parameter: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    error = {"message": message} | ({"parameter": parameter} if parameter else {})
    return JSONResponse({"errors": [error]}, status, headers)


async def _on_error(request: Request, error: Exception) -> Response:
    if isinstance(error, ValidationError):
        [problem, *_] = error.errors()
        name = str(problem["loc"][0]) if problem["loc"] else None
        status = 400 if problem["type"] == "json_invalid" else 422
        return error_response(status, f"{name or 'The body'}: {problem['msg']}", name)
    if isinstance(error, HTTPException):
        return error_response(error.status_code, error.detail, getattr(error, "parameter", None), error.headers)
    return error_response(500, "Internal error")


class AuthMiddleware(BaseHTTPMiddleware):
    """Responds 401 to a wrong token, and 429 beyond the rate limit. Any token is valid if none is set."""

    def __init__(self, app: ASGIApp, valid_token: Callable[[], str | None], rate_limit: int | None) -> None:
        super().__init__(app)
        self._valid_token = valid_token
        self._rate_limit = rate_limit
        self._accepted = deque[float](maxlen=rate_limit)

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        valid = self._valid_token() or token
        if scheme.lower() != "bearer" or not valid or not secrets.compare_digest(token.encode(), valid.encode()):
            return error_response(401, "A valid token is needed: Authorization: Bearer ...")
        if self._rate_limit:
            now = time.monotonic()
            if len(self._accepted) == self._rate_limit and now - self._accepted[0] < 1:
                message = f"More than {self._rate_limit} requests within a second"
                return error_response(429, message, headers={"Retry-After": "1"})
            self._accepted.append(now)
        return await call_next(request)
