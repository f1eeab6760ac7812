# SPDX-License-Identifier: Apache-2.0
"""The operations of the contract: one method for each, named as the contract names it."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_agentruns.emulator.bodies import (
    context_fields,
    json_object,
    optional_text,
    page_and_size,
    rating,
    text,
    wants_steps,
)
from airflow_provider_agentruns.emulator.paging import Page
from airflow_provider_agentruns.emulator.problems import NotEnabled
from airflow_provider_agentruns.emulator.scripts import Json
from airflow_provider_agentruns.emulator.service import Service
from airflow_provider_agentruns.emulator.streaming import EventStream, Streams

_CREATED = 201


class Operations:
    """
    Answers requests out of the service.

    :param feedback_enabled: Whether the account may rate artifacts.
    """

    def __init__(self, service: Service, streams: Streams, *, feedback_enabled: bool) -> None:
        self._service = service
        self._streams = streams
        self._feedback_enabled = feedback_enabled

    def routes(self) -> list[Route]:
        """Say which path leads where."""
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
        """Give a page of runs."""
        page = self._service.list_runs(*page_and_size(request))
        return JSONResponse(_list(page, (run.as_json() for run in page.items)))

    async def create_run(self, request: Request) -> Response:
        """Start a run."""
        body = await json_object(request)
        run = self._service.create_run(
            text(body, "type"), **context_fields(body), thread_id=optional_text(body, "thread_id")
        )
        return JSONResponse(run.as_json(), _CREATED)

    async def get_run(self, request: Request) -> Response:
        """Give one run."""
        run = self._service.get_run(request.path_params["id"])
        return JSONResponse(run.as_json(steps=wants_steps(request)))

    async def resume_run(self, request: Request) -> Response:
        """Take the answer to an interrupt."""
        run = self._service.get_run(request.path_params["id"])
        body = await json_object(request)
        run = self._service.answer(run.id, text(body, "interrupt_id"), body.get("input"))
        return JSONResponse(run.as_json(steps=wants_steps(request)))

    async def stream_run(self, request: Request) -> Response:
        """Send a run's events."""
        return EventStream(self._service, self._service.get_run(request.path_params["id"]), self._streams)

    async def rate_artifact(self, request: Request) -> Response:
        """Record a person's rating."""
        if not self._feedback_enabled:
            raise NotEnabled("Feedback is not enabled on this account")
        run = self._service.get_run(request.path_params["id"])
        given = rating(await json_object(request))
        return JSONResponse(self._service.rate(run.id, given.artifact_id, given.rating, given.comment), _CREATED)

    async def list_threads(self, request: Request) -> Response:
        """Give a page of threads."""
        page = self._service.list_threads(*page_and_size(request), business_id=request.query_params.get("business_id"))
        return JSONResponse(_list(page, (thread.as_json() for thread in page.items)))

    async def create_thread(self, request: Request) -> Response:
        """Open a thread."""
        body = await json_object(request)
        thread = self._service.create_thread(text(body, "type"), **context_fields(body))
        return JSONResponse(thread.as_json(), _CREATED)

    async def get_thread(self, request: Request) -> Response:
        """Give one thread."""
        return JSONResponse(self._service.get_thread(request.path_params["id"]).as_json(steps=True))

    async def list_agents(self, request: Request) -> Response:
        """Give all agents."""
        return JSONResponse({"object": "list", "data": self._service.agents.all()})

    async def get_agent(self, request: Request) -> Response:
        """Give one agent."""
        return JSONResponse(self._service.agents.get(request.path_params["id"]))


def _list(page: Page[object], data: Iterable[Json]) -> Json:
    return {"object": "list", "has_more": page.has_more, "total_count": page.total_count, "data": list(data)}
