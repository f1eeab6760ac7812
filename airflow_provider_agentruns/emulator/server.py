# SPDX-License-Identifier: Apache-2.0
"""The offline service on a loopback port, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self, cast
from urllib.parse import quote, urlencode

import uvicorn
from starlette.middleware import Middleware
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider_agentruns.emulator.app import AuthMiddleware, create_app
from airflow_provider_agentruns.emulator.faults import FaultMiddleware, Faults, RecordedRequest
from airflow_provider_agentruns.emulator.script_steps import Script
from airflow_provider_agentruns.emulator.service import Service

#: The token in the connection if any token is valid, and the default secret of webhooks. They protect nothing.
ANY_TOKEN, ANY_SECRET = "mk_test_offline", "whsec_offline"


class Emulator:
    """
    The offline service. It serves inside a ``with`` block::

        with Emulator(speed=20) as emulator:
            httpx.get(f"{emulator.url}/v1/agents", headers={"Authorization": f"Bearer {emulator.token}"})

    :param seed: Another seed gives other IDs and other content.
    :param speed: The speed of the agents; 20 means 20 times as fast.
    :param agents: Agent types and scripts in addition to the built-in ones.
    :param token: The only valid token. None accepts any token.
    :param rate_limit: Requests per second. None and 0 mean no limit.
    :param port: 0 selects a free port.
    :param extra: The extra of the Airflow connection. Default: 1,000 requests per second.
    :param middleware: ASGI middleware for requests that faults let pass.
    :param faults: The first rules for faults; see ``Faults.add``.
    :param webhook: The URL of the receiver of webhooks.
    :param webhook_secret: Signs webhooks, and is in the extra of the Airflow connection. Default: a public secret.
    :raises ValueError: If an argument is wrong.
    :raises OSError: If the port is in use.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        speed: float = 1.0,
        agents: Mapping[str, Script] | None = None,
        token: str | None = None,
        rate_limit: int | None = None,
        port: int = 0,
        extra: Mapping[str, Any] | None = None,
        middleware: Sequence[Middleware] = (),
        faults: Iterable[str] = (),
        webhook: str | None = None,
        webhook_secret: str | None = None,
    ) -> None:
        self.service = Service(seed, speed, agents=agents)
        self.extra: Mapping[str, Any] = {"rate_limit": 1000} if extra is None else extra
        self._webhooks = None
        if webhook is not None:
            # Only webhooks need an HTTP client.
            from airflow_provider_agentruns.emulator.webhooks import Webhooks

            secret = webhook_secret or ANY_SECRET
            self._webhooks = Webhooks(self.service, webhook, secret)
            self.extra = {"webhook_secret": secret, **self.extra}
        self._token = token
        self._serves = False
        self._port_lock = threading.Lock()
        #: The active faults.
        self.faults = Faults(seed, self._open_or_close_port)
        for rule in faults:
            self.faults.add(rule)
        #: All requests so far, oldest first.
        self.requests: list[RecordedRequest] = []
        layers = [
            Middleware(FaultMiddleware, faults=self.faults, requests=self.requests),
            *middleware,
            Middleware(AuthMiddleware, valid_token=lambda: self._token, rate_limit=rate_limit),
        ]
        self._server = _WebServer(create_app(self.service, layers), port)
        self.port = self._server.port

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """A valid token."""
        return self._token or ANY_TOKEN

    def rotate_token(self, new: str) -> None:
        """Replace the valid token, also in ``connection_uri``."""
        self._token = new

    @property
    def connection_uri(self) -> str:
        """An Airflow connection as a URI for ``AIRFLOW_CONN_AGENTRUNS_DEFAULT``."""
        query = urlencode({key: v if isinstance(v, str) else json.dumps(v) for key, v in self.extra.items()})
        uri = f"agentruns://:{quote(self.token, safe='')}@127.0.0.1:{self.port}/http"
        return f"{uri}?{query}" if query else uri

    def count(self, method: str, path_regex: str) -> int:
        """Return the number of requests with a method and with a path that matches as a whole."""
        return sum(it.method == method and bool(re.fullmatch(path_regex, it.path)) for it in self.requests)

    def start(self) -> Self:
        """Start the server."""
        self._serves = True
        self._open_or_close_port()
        if self._webhooks:
            self._webhooks.start()
        return self

    def stop(self) -> None:
        """Stop the server, and reset open connections."""
        if self._webhooks:
            self._webhooks.stop()
        with self._port_lock:
            self._serves = False
            self._server.close()

    __enter__ = start

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _open_or_close_port(self) -> None:
        with self._port_lock:
            refuses = any(rule.fault.refuses for rule in self.faults.active)
            if self._serves:
                (self._server.stop if refuses else self._server.start)()


class _WebServer:
    """A uvicorn server in a thread of its own. It also reserves its port while it is stopped."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        options: dict[str, Any] = {"loop": "asyncio", "ws": "none", "lifespan": "off", "log_config": None}
        self._config = uvicorn.Config(app, http=_Connection, access_log=False, **options)
        self._socket = _bound_socket(port)
        self.port: int = self._socket.getsockname()[1]
        self._server: _Server | None = None

    def start(self) -> None:
        if self._server is None:
            self._server = _Server(self._config)
            self._thread = threading.Thread(target=self._server.run, args=[[self._socket]], daemon=True)
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
        self.stop()
        self._socket.close()


class _Server(uvicorn.Server):
    """A server that stops without waiting for open connections."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in cast("set[_Connection]", self.server_state.connections.copy()):
            connection.reset()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=1.0)


class _Connection(H11Protocol):
    """A connection to a client, which faults get as ``request.state.connection``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": self}

    def reset(self) -> None:
        """Reset the connection without sending what is left."""
        with suppress(OSError, AttributeError):  # The connection is closed already.
            options = socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(*options)
        self.transport.abort()


def _bound_socket(port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only if the protocol is named. Without it each response takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener
