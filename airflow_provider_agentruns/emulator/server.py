# SPDX-License-Identifier: Apache-2.0
"""The offline service on a port of this machine, in a thread of its own."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

from starlette.middleware import Middleware

from airflow_provider_agentruns.emulator.agents import BUILTIN
from airflow_provider_agentruns.emulator.app import create_app
from airflow_provider_agentruns.emulator.auth import Token
from airflow_provider_agentruns.emulator.faults import Faults
from airflow_provider_agentruns.emulator.faults.middleware import FaultMiddleware
from airflow_provider_agentruns.emulator.recording import RecordedRequest, Recorder
from airflow_provider_agentruns.emulator.scripts import Script
from airflow_provider_agentruns.emulator.service import Service
from airflow_provider_agentruns.emulator.web_server import WebServer

#: The token in the connection if any token is valid. It protects nothing.
ANY_TOKEN = "mk_test_offline"  # noqa: S105

#: Signs webhooks unless another secret is given. It protects nothing.
ANY_SECRET = "whsec_offline"  # noqa: S105

_START_WITHIN = 10.0
_STOP_WITHIN = 5.0


class Emulator:
    """
    The offline service. It serves inside the ``with`` block::

        with Emulator(speed=20) as emulator:
            httpx.get(f"{emulator.url}/v1/agents", headers={"Authorization": f"Bearer {emulator.token}"})

    :param seed: Another seed gives other IDs and other content.
    :param speed: Seconds of an agent's work done per second.
    :param agents: Agents in addition to the built-in ones: agent types and their scripts.
    :param token: The only valid token. None accepts any token.
    :param rate_limit: Requests per second. None means no limit.
    :param feedback_enabled: Whether the account may rate artifacts.
    :param host: A loopback address.
    :param port: 0 selects a free port.
    :param extra: The extra of the Airflow connection. Default: a rate limit of 1,000 requests per second.
    :param middleware: ASGI middleware that sees each request first, unless a fault keeps the request away.
    :param service: The service to serve. ``speed`` and ``agents`` then have no effect.
    :param faults: Rules for faults, from the start: see ``Faults.add_plan``. ``faults`` can be changed at any time.
    :param webhook: The URL that webhooks go to.
    :param webhook_secret: Signs webhooks. The extra of the Airflow connection contains it, too.
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
        feedback_enabled: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        extra: Mapping[str, Any] | None = None,
        middleware: Sequence[Middleware] = (),
        service: Service | None = None,
        faults: Iterable[Any] = (),
        webhook: str | None = None,
        webhook_secret: str = ANY_SECRET,
    ) -> None:
        self.service = service or Service(seed, speed, agents={**BUILTIN, **(agents or {})})
        self.extra: Mapping[str, Any] = {"rate_limit": 1000} if extra is None else extra
        self._webhooks = None
        if webhook is not None:
            # Only webhooks need an HTTP client.
            from airflow_provider_agentruns.emulator.webhooks import Webhooks

            self._webhooks = Webhooks(self.service, webhook, webhook_secret)
            self.extra = {"webhook_secret": webhook_secret, **self.extra}
        #: The active faults.
        self.faults = Faults(seed, lambda rule, closed: self._server.set_port(rule, closed=closed))
        self._token = Token(token)
        app = create_app(
            self.service,
            token=self._token,
            rate_limit=rate_limit,
            feedback_enabled=feedback_enabled,
            middleware=middleware,
        )
        self._recorder = Recorder(FaultMiddleware(app, self.faults, self.service))
        self._server = WebServer(self._recorder, self.faults.closes_connection)
        self._thread = threading.Thread(target=self._server.run, name="agent-runs-emulator", daemon=True)
        self.faults.add_plan(faults)
        self.host = host
        self.port = self._server.bind(host, port)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://{self.host}:{self.port}"

    @property
    def token(self) -> str:
        """A valid token."""
        return self._token.value or ANY_TOKEN

    def rotate_token(self, new: str) -> None:
        """
        Replace the valid token. ``connection_uri`` and ``connection_json`` contain the new one.

        :raises ValueError: If the new token is blank.
        """
        self._token.rotate(new)

    @property
    def connection_uri(self) -> str:
        """An Airflow connection to the service, as a URI for ``AIRFLOW_CONN_AGENTRUNS_DEFAULT``."""
        query = urlencode({key: v if isinstance(v, str) else json.dumps(v) for key, v in self.extra.items()})
        uri = f"agentruns://:{quote(self.token, safe='')}@{self.host}:{self.port}/http"
        return f"{uri}?{query}" if query else uri

    @property
    def connection_json(self) -> str:
        """An Airflow connection to the service, as JSON for ``AIRFLOW_CONN_AGENTRUNS_DEFAULT``."""
        return json.dumps(
            {"conn_type": "agentruns", "host": self.url, "password": self.token, "extra": dict(self.extra)}
        )

    @property
    def requests(self) -> Sequence[RecordedRequest]:
        """All requests so far, oldest first."""
        return self._recorder.requests

    def count(self, method: str, path_regex: str) -> int:
        """Return the number of requests with a method and with a path that matches as a whole."""
        path = re.compile(path_regex)
        return sum(request.method == method and path.fullmatch(request.path) is not None for request in self.requests)

    def start(self) -> Self:
        """Start the server."""
        self._thread.start()
        if not self._server.up.wait(_START_WITHIN):
            raise RuntimeError(f"The offline service did not start on {self.url}")
        if self._webhooks:
            self._webhooks.start()
        return self

    def stop(self) -> None:
        """Stop the server, and reset open connections."""
        if self._webhooks:
            self._webhooks.stop()
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOP_WITHIN)
        self._server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
