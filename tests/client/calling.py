# SPDX-License-Identifier: Apache-2.0
"""Calling a service with either transport, so that each test holds for both."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.settings import Settings
from airflow_provider_agentruns.client.transport import AsyncTransport, Transport
from airflow_provider_agentruns.models import RunEvent

T = TypeVar("T")

TOKEN = "mk_test_do-not-tell"

RUN = {"object": "run", "id": "r-1", "status": "running"}

#: One of each: a request that may be sent twice, and one that must not.
GET = requests.get_run("r-1")
POST = requests.create_run("instant", business_id="b-1")


def settings(url: str, **fields: Any) -> Settings:
    """Return settings for a server of a test, which is asked as fast as it will go unless told otherwise."""
    return Settings(**{"base_url": url, "token": TOKEN, "rate_limit": 10_000, "timeout": 5, **fields})


class Caller:
    """
    Sends over a transport of its own, which is closed after that.

    :param kind: ``sync`` or ``async``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def send(self, where: Settings, *requests: Request[T]) -> list[T]:
        """Send requests, one after the other, and return their results."""
        if self.kind == "sync":
            with Transport(where) as transport:
                return [transport.send(request) for request in requests]

        async def send() -> list[T]:
            async with AsyncTransport(where) as transport:
                return [await transport.send(request) for request in requests]

        return asyncio.run(send())

    def stream(self, where: Settings, request: Request[None], into: list[RunEvent]) -> None:
        """Collect a stream's events, so that those before an error are there as well."""
        if self.kind == "sync":
            with Transport(where) as transport:
                into.extend(transport.stream(request))
            return

        async def stream() -> None:
            async with AsyncTransport(where) as transport:
                async for event in transport.stream(request):
                    into.append(event)  # noqa: PERF401 -- extend() would lose all of them at an error

        asyncio.run(stream())
