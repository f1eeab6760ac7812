# SPDX-License-Identifier: Apache-2.0
"""A proxy between a client and the service that loses requests and responses, and kills clients."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import struct
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal
from urllib.parse import urlsplit

import psutil

Mishap = Literal["lose the request", "lose the answer", "kill the client before its answer"]


@dataclass
class _Plan:
    method: str
    path: re.Pattern[str]
    mishap: Mishap
    left: int


class Wire:
    """
    Forwards requests to a service, as a context manager.

    :param service_url: The base URL of the service.
    """

    def __init__(self, service_url: str) -> None:
        self.requests: list[tuple[str, str]] = []
        self._plans: list[_Plan] = []
        self._lock = threading.Lock()
        wire, upstream = self, urlsplit(service_url).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _forward(self) -> None:
                wire._handle(self, upstream)

            do_GET = do_POST = _forward  # noqa: N815 -- the standard library's names

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def once(self, method: str, path: str, mishap: Mishap, *, times: int = 1) -> None:
        """
        Apply a fault to the next matching request.

        :param path: A regular expression that must match the whole path.
        """
        with self._lock:
            self._plans.append(_Plan(method, re.compile(path), mishap, times))

    def count(self, method: str, path: str) -> int:
        """Return the number of matching requests, including failed ones."""
        return sum(m == method and bool(re.fullmatch(path, p)) for m, p in self.requests)

    def __enter__(self) -> Wire:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _next_mishap(self, method: str, path: str) -> Mishap | None:
        with self._lock:
            self.requests.append((method, path))
            for plan in self._plans:
                if plan.left and plan.method == method and plan.path.fullmatch(path):
                    plan.left -= 1
                    return plan.mishap
        return None

    def _handle(self, handler: BaseHTTPRequestHandler, upstream: str) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        mishap = self._next_mishap(handler.command, handler.path.partition("?")[0])
        if mishap == "lose the request":
            return _reset(handler)
        connection = http.client.HTTPConnection(upstream, timeout=30)
        connection.request(handler.command, handler.path, body or None, dict(handler.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if mishap == "kill the client before its answer":
            _kill_owner(handler.client_address[1])
        if mishap:
            return _reset(handler)
        handler.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        return None


def _reset(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def _kill_owner(port: int) -> None:
    """Kill the client process of a connection."""
    owners = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.laddr.port == port and connection.pid and connection.pid != os.getpid()
    }
    assert owners, f"no process owns the port {port}"
    for owner in owners:
        os.kill(owner, signal.SIGKILL)
