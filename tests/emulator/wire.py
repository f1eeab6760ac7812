# SPDX-License-Identifier: Apache-2.0
"""Requests over plain sockets, to see how a connection ends."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import BUSINESS_ID

#: The body of a request that starts a run.
RUN = {"type": "instant", "business_id": BUSINESS_ID}


def connect(emulator: Emulator, method: str, path: str, body: Any = None) -> socket.socket:
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {emulator.token}\r\nConnection: close\r\n"
    connection = socket.create_connection(("127.0.0.1", emulator.port))
    with suppress(ConnectionError):
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    return connection


def read(connection: socket.socket, seconds: float = 5.0) -> tuple[bytes, str]:
    """
    Read everything from a connection.

    :param seconds: How long to wait for the next bytes.
    :return: The bytes, and how the connection ended: ``closed``, ``reset`` or ``silent``.
    """
    received = b""
    connection.settimeout(seconds)
    with connection:
        while True:
            try:
                piece = connection.recv(65536)
            except TimeoutError:
                return received, "silent"
            except ConnectionResetError:
                return received, "reset"
            if not piece:
                return received, "closed"
            received += piece


def talk(emulator: Emulator, method: str, path: str, body: Any = None, *, seconds: float = 5.0) -> tuple[bytes, str]:
    """Send a request over a new connection, and read the response; see ``read``."""
    return read(connect(emulator, method, path, body), seconds)


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
