# SPDX-License-Identifier: Apache-2.0
"""Response heads without end: byte by byte, as informational responses in a row, or too large."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from airflow_provider_agentruns.exceptions import AgentRunsConnectionError
from tests.faults.hostile import bounded
from tests.hooks.conftest import HookUser
from tests.hooks.connections import connection_json

ENV = "AIRFLOW_CONN_AGENTRUNS_DEFAULT"

#: Seconds for which the server continues. A client with a request timeout of 0.3 s gives up much earlier.
_CONTINUES_FOR = 20.0


@contextmanager
def heads(piece: bytes, pause: float) -> Iterator[str]:
    """Send a status line, then the same piece of a head again and again; return the base URL."""
    over = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65_536)
            end = time.monotonic() + _CONTINUES_FOR
            connection.sendall(b"" if piece.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\nX: ")
            while not over.wait(pause) and time.monotonic() < end:
                connection.sendall(piece)

    def accept() -> None:
        with suppress(OSError):
            while not over.is_set():
                threading.Thread(target=answer, args=[listener.accept()[0]], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()


@pytest.mark.parametrize(
    ("piece", "pause"),
    [
        pytest.param(b"x", 0.05, id="byte by byte"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 0.05, id="informational"),
        pytest.param(b"x" * 65_536, 0.0, id="too large"),
    ],
)
@pytest.mark.parametrize("call", ["get_run", "create_run"])
def test_a_head_without_end_is_an_error(
    user: HookUser, monkeypatch: pytest.MonkeyPatch, call: str, piece: bytes, pause: float
) -> None:
    begun = time.monotonic()
    with heads(piece, pause) as url, bounded():
        monkeypatch.setenv(ENV, connection_json(url, timeout=0.3))
        arguments = {"run_id": "r-1"} if call == "get_run" else {"agent": "a", "business_id": "b"}
        with pytest.raises(AgentRunsConnectionError) as caught:
            user.call(call, **arguments)
    assert caught.value.in_doubt is (call == "create_run")
    assert time.monotonic() - begun < _CONTINUES_FOR / 2
