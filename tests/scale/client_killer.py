# SPDX-License-Identifier: Apache-2.0
"""Kills the process that sent a request after the service carried the request out and before it responds."""

from __future__ import annotations

import random

import psutil
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class ClientKiller:
    """
    Middleware that kills the senders of POST requests with SIGKILL.

    :param share: The probability that it kills the sender of a POST request.
    """

    def __init__(self, app: ASGIApp, *, share: float, seed: int) -> None:
        self._app = app
        self._share = share
        self._random = random.Random(seed)  # noqa: S311 -- no secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Kill the sender, or pass the request on."""
        if scope["method"] != "POST" or self._random.random() >= self._share:
            return await self._app(scope, receive, send)

        async def discard(message: Message) -> None:
            pass

        await self._app(scope, receive, discard)
        _kill_owner(tuple(scope["client"]))
        while (await receive())["type"] != "http.disconnect":
            pass
        return None


def _kill_owner(address: tuple[str, int]) -> None:
    for connection in psutil.net_connections("tcp"):
        if connection.laddr == address and connection.pid:
            psutil.Process(connection.pid).kill()
