# SPDX-License-Identifier: Apache-2.0
"""The web server: its socket, its connections, and how both are broken on purpose."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.auto import AutoHTTPProtocol

_TRANSPORT = "agent_runs.transport"
_SWITCH_WITHIN = 10.0


class Server(uvicorn.Server):
    """
    Tells when it serves, ends what is open before it waits for all requests, and leaves the network at will.

    :param listener: A bound socket.
    :param closes_connection: Says of each new connection whether to close it at once.
    :param on_shutdown: Called in the event loop when the server begins to shut down.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        closes_connection: Callable[[], bool],
        on_shutdown: Sequence[Callable[[], None]],
    ) -> None:
        def door(**uvicorn_arguments: Any) -> _Door:
            return _Door(closes_connection, uvicorn_arguments)

        super().__init__(
            uvicorn.Config(
                app,
                http=cast("type[asyncio.Protocol]", door),
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                # The faults set it: a second one would stand beside it.
                date_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self.up = threading.Event()
        self.listener = listener
        self._on_shutdown = on_shutdown
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._turning = asyncio.Lock()
        self._turns: set[asyncio.Task[None]] = set()
        # How many reasons there are to be off the network.
        self._reasons = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and tell so."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        await super().startup([] if self._reasons else [self.listener])
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve no more."""
        self._loop = None
        for call in self._on_shutdown:
            call()
        await super().shutdown([self.listener])

    def switch(self, *, off: bool) -> None:
        """
        Add a reason to be off the network, or take one away; done when this returns, whatever the thread.

        Off the network nothing listens, so that each connection is refused, and those that are open are reset.
        """
        if self._loop is None:
            self._reasons += 1 if off else -1
        elif self._thread == threading.get_ident():
            self._soon(off=off)
        else:
            turn = self._turn(off=off)
            try:
                asyncio.run_coroutine_threadsafe(turn, self._loop).result(_SWITCH_WITHIN)
            except RuntimeError:  # The loop is closed: the server has ended meanwhile.
                turn.close()

    async def outage(self, seconds: float) -> None:
        """Leave the network for so long."""
        loop = asyncio.get_running_loop()
        await self._turn(off=True)
        loop.call_later(seconds, lambda: self._soon(off=False))

    def _soon(self, *, off: bool) -> None:
        turn = asyncio.get_running_loop().create_task(self._turn(off=off))
        self._turns.add(turn)
        turn.add_done_callback(self._turns.discard)

    async def _turn(self, *, off: bool) -> None:
        async with self._turning:
            before, self._reasons = self._reasons, self._reasons + (1 if off else -1)
            if self._loop is None:
                return
            if off and before == 0:
                self._leave()
            elif self._reasons == 0:
                await super().startup([self.listener])

    def _leave(self) -> None:
        address = self.listener.getsockname()
        for server in self.servers:
            server.close()
        self.listener.close()
        # Bound, it keeps the port for us; as long as it does not listen, connections are refused.
        self.listener = listen(*address)
        for connection in list(self.server_state.connections):
            reset(connection.transport)


class _Door(asyncio.Protocol):
    """
    Takes a new connection, and hands it to uvicorn.

    :param uvicorn_arguments: What uvicorn makes its own protocol of.
    """

    def __init__(self, closes_connection: Callable[[], bool], uvicorn_arguments: dict[str, Any]) -> None:
        self._closes_connection = closes_connection
        self._arguments = uvicorn_arguments

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._closes_connection():
            transport.close()
            return
        state = {**self._arguments["app_state"], _TRANSPORT: transport}
        protocol = AutoHTTPProtocol(**{**self._arguments, "app_state": state})
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


def transport_of(scope: Scope) -> asyncio.Transport:
    """Find the connection that a request came over."""
    return cast("asyncio.Transport", scope["state"][_TRANSPORT])


def reset(transport: asyncio.Transport) -> None:
    """Break a connection with a reset instead of an end, and drop what has not been sent."""
    with suppress(OSError, AttributeError):  # It is closed already.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def listen(host: str, port: int) -> socket.socket:
    """
    Bind a socket to a loopback address.

    :raises ValueError: If it is none.
    :raises OSError: If the port is taken.
    """
    if not is_loopback(host):
        raise ValueError(f"The offline service is for this machine alone: {host} is no IPv4 loopback address")
    # The protocol is named, since asyncio sets TCP_NODELAY only then: without it each answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except BaseException:
        listener.close()
        raise
    return listener


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, and this machine alone."""
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return host == "localhost"
