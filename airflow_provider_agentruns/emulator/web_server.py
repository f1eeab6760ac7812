# SPDX-License-Identifier: Apache-2.0
"""The web server. It listens on loopback only, and can refuse and reset connections on demand."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.auto import AutoHTTPProtocol

_TRANSPORT = "agent_runs.transport"
_CHANGE_WITHIN = 10.0
_END_WITHIN = 1.0


class WebServer(uvicorn.Server):
    """
    A uvicorn server that can close its port while it is running, and that stops without waiting for open connections.

    :param closes_connection: Called for each new connection. Returns whether to close it at once.
    """

    def __init__(self, app: ASGIApp, closes_connection: Callable[[], bool]) -> None:
        def protocol(**uvicorn_arguments: Any) -> _NewConnection:
            return _NewConnection(closes_connection, uvicorn_arguments)

        http = cast("type[asyncio.Protocol]", protocol)
        # The recorder sets the Date header, unless a fault does.
        options: dict[str, Any] = {"log_config": None, "access_log": False, "date_header": False}
        super().__init__(uvicorn.Config(app, http=http, loop="asyncio", ws="none", lifespan="off", **options))
        self.up = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        #: Everything that keeps the port closed.
        self._closed_by: set[object] = set()

    def bind(self, host: str, port: int) -> int:
        """
        Reserve a port, and return it.

        :param port: 0 selects a free port.
        :raises ValueError: If the host is not a loopback address.
        :raises OSError: If the port is in use.
        """
        self._listener = _bound_socket(host, port)
        self._address: tuple[str, int] = self._listener.getsockname()
        return int(self._address[1])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, with a closed port if something keeps it closed."""
        self._loop = asyncio.get_running_loop()
        await super().startup([] if self._closed_by else [self._listener])
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, and reset all connections."""
        self._loop = None
        self._disconnect()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=_END_WITHIN)

    def close(self) -> None:
        """Free the port."""
        self._listener.close()

    def set_port(self, reason: object, *, closed: bool) -> None:
        """
        Close the port for some reason, or remove that reason. Callable from any thread but the server's.

        While the port is closed, connections are refused. Closing it resets the open ones.
        """
        if self._loop is None:
            (self._closed_by.add if closed else self._closed_by.discard)(reason)
            return
        change = self._set_port(reason, closed=closed)
        try:
            asyncio.run_coroutine_threadsafe(change, self._loop).result(_CHANGE_WITHIN)
        except RuntimeError:  # The server has stopped in the meantime.
            change.close()

    async def _set_port(self, reason: object, *, closed: bool) -> None:
        was_closed = bool(self._closed_by)
        (self._closed_by.add if closed else self._closed_by.discard)(reason)
        if was_closed == bool(self._closed_by):
            return
        if self._closed_by:
            self._disconnect()
            # A bound socket that does not listen reserves the port and refuses connections.
            self._listener = _bound_socket(*self._address)
        else:
            await super().startup([self._listener])

    def _disconnect(self) -> None:
        for server in self.servers:
            server.close()
        self._listener.close()
        for connection in list(self.server_state.connections):
            reset(connection.transport)


class _NewConnection(asyncio.Protocol):
    """Decides about a new connection before uvicorn's own protocol takes over."""

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
    """Return the connection of a request."""
    return cast("asyncio.Transport", scope["state"][_TRANSPORT])


def reset(transport: asyncio.Transport) -> None:
    """Reset a connection, and drop what has not been sent."""
    with suppress(OSError, AttributeError):  # The connection is closed already.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _bound_socket(host: str, port: int) -> socket.socket:
    if not _is_loopback(host):
        raise ValueError(f"host must be an IPv4 loopback address such as 127.0.0.1, not {host!r}")
    # asyncio sets TCP_NODELAY only if the protocol is named. Without it each response takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except BaseException:
        listener.close()
        raise
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return host == "localhost"
