# SPDX-License-Identifier: Apache-2.0
"""A uvicorn server on loopback, in a thread of its own. It can reset connections."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

_TRANSPORT = "agent_runs.transport"


class WebServer:
    """Serves an application on a port that it also reserves while it is stopped."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        # The middleware sets the Date header.
        options: dict[str, Any] = {"log_config": None, "access_log": False, "date_header": False}
        self._config = uvicorn.Config(app, http=_Protocol, loop="asyncio", ws="none", lifespan="off", **options)
        self._socket = _bound_socket(port)
        self.port: int = self._socket.getsockname()[1]
        self._server: _Server | None = None

    def start(self) -> None:
        if self._server is None:
            self._server = _Server(self._config)
            self._thread = threading.Thread(
                target=self._server.run, args=[[self._socket]], name="agent-runs-emulator", daemon=True
            )
            self._thread.start()
            while not self._server.started:
                if not self._thread.is_alive():
                    raise RuntimeError(f"The offline service did not start on port {self.port}")
                time.sleep(0.005)

    def stop(self) -> None:
        """Reset all connections, and refuse new ones."""
        if self._server is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = None
            # A bound socket that does not listen reserves the port and refuses connections.
            self._socket = _bound_socket(self.port)

    def close(self) -> None:
        """Stop, and free the port."""
        self.stop()
        self._socket.close()


class _Server(uvicorn.Server):
    """A server that stops without waiting for open connections."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            reset_connection(connection.transport)
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=1.0)


class _Protocol(H11Protocol):
    """Makes the connection available to faults."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, _TRANSPORT: transport}


def transport_of(scope: Scope) -> asyncio.Transport:
    return cast("asyncio.Transport", scope["state"][_TRANSPORT])


def reset_connection(transport: asyncio.Transport) -> None:
    """Reset a connection without sending what is left."""
    with suppress(OSError, AttributeError):  # The connection is closed already.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _bound_socket(port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only if the protocol is named. Without it each response takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener
