# SPDX-License-Identifier: Apache-2.0
"""The service on a port of this machine, in a thread of its own."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

import uvicorn
from starlette.middleware import Middleware

from airflow_provider_agentruns.emulator.agents import BUILTIN
from airflow_provider_agentruns.emulator.app import create_app
from airflow_provider_agentruns.emulator.recording import RecordedRequest, Recorder
from airflow_provider_agentruns.emulator.scripts import Script
from airflow_provider_agentruns.emulator.service import Service
from airflow_provider_agentruns.emulator.streaming import Streams

#: The token that the connection holds where any is good. It opens nothing.
ANY_TOKEN = "mk_test_offline"  # noqa: S105

_START_WITHIN = 10.0
_STOP_WITHIN = 5.0


class Emulator:
    """
    The offline service, served while the ``with`` block lasts::

        with Emulator(speed=20) as emulator:
            httpx.get(f"{emulator.url}/v1/agents", headers={"Authorization": f"Bearer {emulator.token}"})

    :param seed: Another seed gives other ids and other content.
    :param speed: How many seconds of an agent's work are done in one second.
    :param agents: More agents, besides the built-in ones: scripts by agent type.
    :param token: The only token that is good; None takes any.
    :param rate_limit: Requests within one second; None allows any number.
    :param feedback_enabled: Whether the account may rate artifacts.
    :param host: A loopback address.
    :param port: 0 takes a free one.
    :param extra: The extra of the Airflow connection. By default the client hardly paces itself, since nothing
        here needs to be spared.
    :param middleware: Sees each request first and each answer last.
    :param service: Serve this one; ``seed``, ``speed`` and ``agents`` then mean nothing.
    :raises ValueError: If the host is no loopback address.
    :raises OSError: If the port is taken.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        speed: float = 1.0,
        agents: Mapping[str, Script] | None = None,
        token: str | None = None,
        rate_limit: int | None = None,
        feedback_enabled: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        extra: Mapping[str, Any] | None = None,
        middleware: Sequence[Middleware] = (),
        service: Service | None = None,
    ) -> None:
        self.service = service or Service(seed, speed, agents={**BUILTIN, **(agents or {})})
        self.token = token or ANY_TOKEN
        self.extra: Mapping[str, Any] = {"rate_limit": 1000} if extra is None else extra
        self.host = host
        app = create_app(
            self.service,
            token=token,
            rate_limit=rate_limit,
            feedback_enabled=feedback_enabled,
            middleware=middleware,
        )
        self._recorder = Recorder(app)
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                self._recorder,
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
            ),
            app.state.streams,
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="agent-runs-emulator", daemon=True
        )

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://{self.host}:{self.port}"

    @property
    def connection_uri(self) -> str:
        """An Airflow connection to it, as a URI for ``AIRFLOW_CONN_AGENTRUNS_DEFAULT``."""
        query = urlencode({key: v if isinstance(v, str) else json.dumps(v) for key, v in self.extra.items()})
        uri = f"agentruns://:{quote(self.token, safe='')}@{self.host}:{self.port}/http"
        return f"{uri}?{query}" if query else uri

    @property
    def connection_json(self) -> str:
        """An Airflow connection to it, as JSON for ``AIRFLOW_CONN_AGENTRUNS_DEFAULT``."""
        return json.dumps(
            {"conn_type": "agentruns", "host": self.url, "password": self.token, "extra": dict(self.extra)}
        )

    @property
    def requests(self) -> Sequence[RecordedRequest]:
        """Every request that came, oldest first."""
        return self._recorder.requests

    def count(self, method: str, path_regex: str) -> int:
        """Count the requests that came with a method and with a path that matches as a whole."""
        path = re.compile(path_regex)
        return sum(request.method == method and path.fullmatch(request.path) is not None for request in self.requests)

    def start(self) -> Self:
        """Serve from now on."""
        self._thread.start()
        if not self._server.up.wait(_START_WITHIN):
            raise RuntimeError(f"The offline service did not start on {self.url}")
        return self

    def stop(self) -> None:
        """Serve no more; open streams end."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOP_WITHIN)
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class _Server(uvicorn.Server):
    """Tells when it serves, and ends the open streams before it waits for all requests to end."""

    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        super().__init__(config)
        self.up = threading.Event()
        self._streams = streams

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._streams.close()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    if not _is_loopback(host):
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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return host == "localhost"
