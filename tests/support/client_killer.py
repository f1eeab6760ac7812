# SPDX-License-Identifier: Apache-2.0
"""Kills the process that sent a request after the service carried the request out and before it responds."""

from __future__ import annotations

import random
from collections.abc import Callable

import psutil
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class ClientKiller:
    """
    Middleware of the offline service that kills senders of requests with SIGKILL.

    :param share: The probability that it kills the sender of a POST request.
    :param kill: Kills the process; by default, only that one.
    """

    def __init__(
        self, *, share: float = 0.0, seed: int = 0, kill: Callable[[psutil.Process], object] = psutil.Process.kill
    ) -> None:
        self._share = share
        self._kill = kill
        self._random = random.Random(seed)  # noqa: S311 -- no secret
        self._next: set[tuple[str, str]] = set()

    def kill_next(self, method: str, path: str) -> None:
        """Kill the sender of the next request with a method and a path."""
        self._next.add((method, path))

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """Return an application that kills the sender, or passes the request on."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if not self._selects(scope["method"], scope["path"]):
                return await app(scope, receive, send)
            await app(scope, receive, _discard)
            self._kill_owner(tuple(scope["client"]))
            while (await receive())["type"] != "http.disconnect":
                pass
            return None

        return serve

    def _selects(self, method: str, path: str) -> bool:
        if (method, path) in self._next:
            self._next.remove((method, path))
            return True
        return method == "POST" and self._random.random() < self._share

    def _kill_owner(self, address: tuple[str, int]) -> None:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr == address and connection.pid:
                self._kill(psutil.Process(connection.pid))


async def _discard(message: Message) -> None:
    pass
