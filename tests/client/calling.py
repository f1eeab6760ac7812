# SPDX-License-Identifier: Apache-2.0
"""Sends requests with either transport, so that each test runs with both."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, closing
from typing import Any, TypeVar

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.connection_settings import Settings
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.transport import AsyncTransport, Transport
from airflow_provider_agentruns.models import RunEvent

T = TypeVar("T")

TOKEN = "mk_test_do-not-tell"

RUN = {"object": "run", "id": "r-1", "status": "running"}

#: A request that may be repeated, and one that must not.
GET = requests.get_run("r-1")
POST = requests.create_run("instant", business_id="b-1")


def settings(url: str, **fields: Any) -> Settings:
    """Return settings for a server of a test, without a noticeable rate limit."""
    return Settings(**{"base_url": url, "token": TOKEN, "rate_limit": 10_000, "timeout": 5, **fields})


class Caller:
    """Sends requests over a new transport, ``sync`` or ``async``, and closes it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def send(self, where: Settings, *requests: Request[T]) -> list[T]:
        """Send requests one after the other and return their results."""
        if self.kind == "sync":
            with closing(Transport(where)) as transport:
                return [transport.send(request) for request in requests]

        async def send() -> list[T]:
            async with aclosing(AsyncTransport(where)) as transport:
                return [await transport.send(request) for request in requests]

        return asyncio.run(send())

    def stream(self, where: Settings, request: Request[None], into: list[RunEvent]) -> None:
        """Collect a stream's events, including those before an error."""
        if self.kind == "sync":
            with closing(Transport(where)) as transport:
                into.extend(transport.stream(request))
            return

        async def stream() -> None:
            async with aclosing(AsyncTransport(where)) as transport:
                async for event in transport.stream(request):
                    into.append(event)  # noqa: PERF401 -- extend() would lose all of them at an error

        asyncio.run(stream())
