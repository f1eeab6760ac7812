# SPDX-License-Identifier: Apache-2.0
"""The offline service on a loopback port, in a thread of its own."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self
from urllib.parse import quote, urlencode

from starlette.middleware import Middleware

from airflow_provider_agentruns.emulator.agent_scripts import BUILTIN
from airflow_provider_agentruns.emulator.app import AuthMiddleware, create_app
from airflow_provider_agentruns.emulator.faults import FaultMiddleware, Faults, RecordedRequest
from airflow_provider_agentruns.emulator.script_steps import Script
from airflow_provider_agentruns.emulator.service import Service
from airflow_provider_agentruns.emulator.web_server import WebServer

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
    :param rate_limit: Requests per second. None means no limit.
    :param port: 0 selects a free port.
    :param extra: The extra of the Airflow connection. Default: 1,000 requests per second.
    :param middleware: ASGI middleware for requests that faults let pass.
    :param faults: The first rules for faults; see ``Faults.add_plan``.
    :param webhook: The URL of the receiver of webhooks.
    :param webhook_secret: Signs webhooks, and is in the extra of the Airflow connection.
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
        webhook_secret: str = ANY_SECRET,
    ) -> None:
        self.service = Service(seed, speed, agents={**BUILTIN, **(agents or {})})
        self.extra: Mapping[str, Any] = {"rate_limit": 1000} if extra is None else extra
        self._webhooks = None
        if webhook is not None:
            # Only webhooks need an HTTP client.
            from airflow_provider_agentruns.emulator.webhooks import Webhooks

            self._webhooks = Webhooks(self.service, webhook, webhook_secret)
            self.extra = {"webhook_secret": webhook_secret, **self.extra}
        self._token = token
        self._serves = False
        self._port_lock = threading.Lock()
        #: The active faults.
        self.faults = Faults(seed, self._open_or_close_port)
        self.faults.add_plan(faults)
        #: All requests so far, oldest first.
        self.requests: list[RecordedRequest] = []
        layers = [
            Middleware(FaultMiddleware, faults=self.faults, requests=self.requests),
            *middleware,
            Middleware(AuthMiddleware, valid_token=lambda: self._token, rate_limit=rate_limit),
        ]
        self._server = WebServer(create_app(self.service, layers), port)
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

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _open_or_close_port(self) -> None:
        with self._port_lock:
            if self._serves:
                (self._server.stop if self.faults.refuses_connections else self._server.start)()
