# SPDX-License-Identifier: Apache-2.0
"""The service on a port of this machine, in a thread of its own."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode

from starlette.middleware import Middleware

from airflow_provider_agentruns.emulator.agents import BUILTIN
from airflow_provider_agentruns.emulator.app import create_app
from airflow_provider_agentruns.emulator.faults import Faults
from airflow_provider_agentruns.emulator.faults.layer import FaultLayer
from airflow_provider_agentruns.emulator.guard import Token
from airflow_provider_agentruns.emulator.recording import RecordedRequest, Recorder
from airflow_provider_agentruns.emulator.scripts import Script
from airflow_provider_agentruns.emulator.service import Service
from airflow_provider_agentruns.emulator.serving import Server, listen

if TYPE_CHECKING:
    from airflow_provider_agentruns.emulator.webhooks import Webhooks

#: The token that the connection holds where any is good. It opens nothing.
ANY_TOKEN = "mk_test_offline"  # noqa: S105

#: What webhooks are signed with, unless another secret is given. It opens nothing.
ANY_SECRET = "whsec_offline"  # noqa: S105

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
    :param middleware: Sees each request first and each answer last, within what faults leave of them.
    :param service: Serve this one; ``speed`` and ``agents`` then mean nothing, and ``seed`` counts for faults alone.
    :param faults: A plan of what goes wrong, from the start; ``faults`` can be changed at any time.
    :param webhook: Where to send webhooks; None for nowhere.
    :param webhook_secret: What they are signed with. It is in the extra of the Airflow connection, too.
    :raises ValueError: If the host is no loopback address, the plan makes no sense, or ``webhook`` is no URL.
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
        faults: Iterable[Any] = (),
        webhook: str | None = None,
        webhook_secret: str = ANY_SECRET,
    ) -> None:
        self.service = service or Service(seed, speed, agents={**BUILTIN, **(agents or {})})
        self.extra: Mapping[str, Any] = {"rate_limit": 1000} if extra is None else extra
        self._webhooks: Webhooks | None = None
        if webhook is not None:
            # It alone takes an HTTP client.
            from airflow_provider_agentruns.emulator.webhooks import Webhooks

            self._webhooks = Webhooks(self.service, webhook, webhook_secret)
            self.extra = {"webhook_secret": webhook_secret, **self.extra}
        self.host = host
        app = create_app(
            self.service,
            token=token,
            rate_limit=rate_limit,
            feedback_enabled=feedback_enabled,
            middleware=middleware,
        )
        self._token: Token = app.state.token
        #: What goes wrong.
        self.faults = Faults(seed, lambda off: self._server.switch(off=off))
        layer = FaultLayer(app, self.faults, self.service, self._token, lambda seconds: self._server.outage(seconds))
        self._recorder = Recorder(layer)
        listener = listen(host, port)
        self.port: int = listener.getsockname()[1]
        self._server = Server(
            self._recorder, listener, self.faults.closes_connection, [app.state.streams.close, layer.close]
        )
        self._thread = threading.Thread(target=self._server.run, name="agent-runs-emulator", daemon=True)
        try:
            self.faults.add_plan(faults)
        except BaseException:
            listener.close()
            raise

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://{self.host}:{self.port}"

    @property
    def token(self) -> str:
        """A token that is good."""
        return self._token.value or ANY_TOKEN

    def rotate_token(self, new: str) -> None:
        """
        Take another token from now on, and no other; the connection to it is another one, too.

        :raises ValueError: If there is nothing in it.
        """
        self._token.rotate(new)

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
        if self._webhooks:
            self._webhooks.start()
        return self

    def stop(self) -> None:
        """Serve no more; open streams end."""
        if self._webhooks:
            self._webhooks.stop()
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOP_WITHIN)
        self._server.listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
