# SPDX-License-Identifier: Apache-2.0
"""
An HTTP server that responds as a script says, and records each request as it arrived.

It uses raw sockets, so it can do what HTTP servers do not: drop a connection, send less than announced, or never end.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Received:
    """
    A request as it arrived.

    :param target: Path and query as sent, not decoded.
    :param headers: Values by lower-case name.
    :param at: The time when it had been read, by the monotonic clock.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    The response to one request. The functions below create common ones.

    :param pieces: The parts of the body; can be infinite.
    :param delay: The pause before the response, in seconds.
    :param pause: The pause between two parts, in seconds.
    :param close: Whether to close the connection after the body, whatever was announced.
    :param reset: ``"before"`` resets the connection before the request is read, ``"after"`` afterwards.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Iterable[bytes] = ()
    delay: float = 0.0
    pause: float = 0.0
    close: bool = False
    reset: str = ""


#: The request is lost.
RESET_BEFORE = Reply(reset="before")

#: The request arrives, but its response is lost.
LOST = Reply(reset="after")


def sent(body: bytes, content_type: str, status: int = 200, *, delay: float = 0.0, **headers: str) -> Reply:
    """Return a response with any body. An underscore in a header's name stands for a dash."""
    fields = {"Content-Type": content_type, "Content-Length": str(len(body))}
    fields.update({name.replace("_", "-"): value for name, value in headers.items()})
    return Reply(status=status, headers=fields, pieces=[body], delay=delay)


def answer(value: Any, status: int = 200, *, delay: float = 0.0, **headers: str) -> Reply:
    return sent(json.dumps(value).encode(), "application/json", status, delay=delay, **headers)


def errors(status: int, *messages: str, **headers: str) -> Reply:
    """Return a rejection in the service's format."""
    return answer({"errors": [{"message": message} for message in messages]}, status, **headers)


def html(status: int = 200) -> Reply:
    """Return an HTML page, as a proxy could send it."""
    return sent(b"<html><body>Gateway</body></html>", "text/html", status)


def redirect(to: str, status: int = 302) -> Reply:
    return sent(b"", "text/plain", status, Location=to)


def truncated(body: bytes) -> Reply:
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body) + 20)}
    return Reply(headers=fields, pieces=[body], close=True)


def dripping(body: bytes, pause: float) -> Reply:
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return Reply(headers=fields, pieces=[bytes([byte]) for byte in body], pause=pause)


def endless(piece: bytes = b" " * 65536, kind: str = "application/json", status: int = 200) -> Reply:
    """Return a response of many pieces, by default a gigabyte."""
    fields = {"Content-Type": kind, "Connection": "close"}
    return Reply(status=status, headers=fields, pieces=itertools.repeat(piece, 16_384), close=True)


def events(*texts: str, cut: bool = False, content_type: str = "text/event-stream") -> Reply:
    """
    Return a stream of events.

    :param texts: The lines of each event.
    :param cut: Whether the connection closes without the end of the stream.
    """
    pieces = [b"%x\r\n%b\r\n" % (len(text.encode()) + 2, text.encode() + b"\n\n") for text in texts]
    fields = {"Content-Type": content_type, "Transfer-Encoding": "chunked"}
    return Reply(headers=fields, pieces=pieces if cut else [*pieces, b"0\r\n\r\n"], close=cut)


Script = Sequence[Reply] | Callable[[Received], Reply]

#: The fixture ``serve``.
Serve = Callable[..., "ScriptedServer"]


class ScriptedServer:
    """
    Serves on a free loopback port until the ``with`` block ends.

    :param script: The replies in order, or a function that returns a reply to a request. Requests after the last reply
        get the status 418.
    """

    def __init__(self, script: Script = ()) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self._script = script if callable(script) else list(script)
        self._errors: list[BaseException] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.002,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def unused(self) -> int:
        return 0 if callable(self._script) else len(self._script)

    def seen(self, method: str, path: str = "") -> list[Received]:
        return [r for r in list(self.requests) if r.method == method and (not path or r.path == path)]

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._closing.set()
        self._server.shutdown()
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()  # Waits for the threads of the connections.
        self._thread.join()
        if self._errors and error is None:
            raise AssertionError("the script of the server failed") from self._errors[0]

    def serve(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self._sockets.add(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The client can disconnect at any time.
        with contextlib.suppress(OSError):
            while self._serve_one(connection):
                pass
        with self._lock:
            self._sockets.remove(connection)

    def _serve_one(self, connection: socket.socket) -> bool:
        """Respond to one request, and return whether the connection stays open."""
        if not connection.recv(1, socket.MSG_PEEK):
            return False
        with self._lock:
            if not callable(self._script) and self._script and self._script[0].reset == "before":
                self._script.pop(0)
                return _break(connection)
        request = _read(connection)
        if request is None:
            return False
        with self._lock:
            self.requests.append(request)
        reply = self._reply(request)
        if self._closing.wait(reply.delay) or reply.reset:
            return _break(connection)
        head = f"HTTP/1.1 {reply.status} Scripted\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        connection.sendall(head.encode() + b"\r\n")
        for piece in reply.pieces:
            connection.sendall(piece)
            if self._closing.wait(reply.pause):
                return False
        return not reply.close

    def _reply(self, request: Received) -> Reply:
        try:
            if callable(self._script):
                return self._script(request)
            with self._lock:
                return self._script.pop(0) if self._script else errors(418, "the script has ended")
        except Exception as e:  # noqa: BLE001 -- raised at the end of the test
            self._errors.append(e)
            return errors(418, f"the script failed: {e!r}")


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 64

    def __init__(self, owner: ScriptedServer) -> None:
        self._owner = owner
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        self._owner.serve(request)


def _read(connection: socket.socket) -> Received | None:
    with connection.makefile("rb") as stream:
        words = stream.readline().decode().split()
        if len(words) != 3:
            return None
        headers = {}
        while line := stream.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
    return Received(words[0], words[1], headers, body, time.monotonic())


def _break(connection: socket.socket) -> bool:
    """Reset the connection, so that the client gets an error instead of the end of the stream."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False


def unused_port() -> int:
    """Return a loopback port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
