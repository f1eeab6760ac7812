# SPDX-License-Identifier: Apache-2.0
"""
An HTTP server of a test's own that answers by script, and breaks the wire where the script says so.

It works on raw sockets, so that it can do what no decent server would: drop a connection, send less than it
announced, or never end. It writes down what was asked, as it came over the wire.
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
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Received:
    """
    A request as it came.

    :param target: Path and query as they were sent, not decoded.
    :param headers: By lower-case name.
    :param at: When it had been read, by the monotonic clock.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def path(self) -> str:
        """The decoded path."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        """The decoded query."""
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def json(self) -> Any:
        """The body's JSON value; None where there is no body."""
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    What the server does about one request; the functions below make the usual ones.

    :param pieces: The body, piece by piece; without end if need be.
    :param delay: Seconds before anything is sent.
    :param pause: Seconds between two pieces.
    :param close: Whether the connection ends with the body, whatever was announced.
    :param reset: ``"before"`` breaks the connection before the request is read, ``"after"`` once it has been.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Iterable[bytes] = ()
    delay: float = 0.0
    pause: float = 0.0
    close: bool = False
    reset: str = ""


#: The request never gets through.
RESET_BEFORE = Reply(reset="before")

#: The request gets through, but its answer is lost.
LOST = Reply(reset="after")


def sent(body: bytes, content_type: str, status: int = 200, *, delay: float = 0.0, **headers: str) -> Reply:
    """Answer with a body of any kind; an underscore in a header's name stands for a dash."""
    fields = {"Content-Type": content_type, "Content-Length": str(len(body))}
    fields.update({name.replace("_", "-"): value for name, value in headers.items()})
    return Reply(status=status, headers=fields, pieces=[body], delay=delay)


def answer(value: Any, status: int = 200, *, delay: float = 0.0, **headers: str) -> Reply:
    """Answer with a JSON value."""
    return sent(json.dumps(value).encode(), "application/json", status, delay=delay, **headers)


def errors(status: int, *messages: str, **headers: str) -> Reply:
    """Answer as the service does where it refuses something."""
    return answer({"errors": [{"message": message} for message in messages]}, status, **headers)


def html(status: int = 200) -> Reply:
    """Answer with a page, as a proxy in between might."""
    return sent(b"<html><body>Gateway</body></html>", "text/html", status)


def redirect(to: str, status: int = 302) -> Reply:
    """Point somewhere else."""
    return sent(b"", "text/plain", status, Location=to)


def truncated(body: bytes, missing: int = 20) -> Reply:
    """Announce more than is sent, then close."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body) + missing)}
    return Reply(headers=fields, pieces=[body], close=True)


def dripping(body: bytes, pause: float) -> Reply:
    """Send byte by byte."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return Reply(headers=fields, pieces=[bytes([byte]) for byte in body], pause=pause)


def endless() -> Reply:
    """Never stop sending."""
    fields = {"Content-Type": "application/json", "Connection": "close"}
    return Reply(headers=fields, pieces=itertools.repeat(b" " * 65536), close=True)


def events(*texts: str, cut: bool = False, content_type: str = "text/event-stream") -> Reply:
    """
    Send a stream of events.

    :param texts: Each event's lines.
    :param cut: Whether the connection breaks after them, instead of the stream coming to its end.
    """
    pieces = [b"%x\r\n%b\r\n" % (len(text.encode()) + 2, text.encode() + b"\n\n") for text in texts]
    fields = {"Content-Type": content_type, "Transfer-Encoding": "chunked"}
    return Reply(headers=fields, pieces=pieces if cut else [*pieces, b"0\r\n\r\n"], close=cut)


Script = Sequence[Reply] | Callable[[Received], Reply]


class ScriptedServer:
    """
    Serves on a free port of the loopback address until the ``with`` block ends.

    :param script: The replies in order, or what makes one of a request. A request beyond the last reply is
        answered with 418, which nobody takes for anything else.
    """

    def __init__(self, script: Script = ()) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self._script = script if callable(script) else list(script)
        self._faults: list[BaseException] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.002,), daemon=True)

    @property
    def port(self) -> int:
        """The port it serves on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def unused(self) -> int:
        """How many replies of the script have not been asked for."""
        return 0 if callable(self._script) else len(self._script)

    def seen(self, method: str, path: str = "") -> list[Received]:
        """Return the requests of a method to a path, or to any."""
        return [r for r in list(self.requests) if r.method == method and (not path or r.path == path)]

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()  # Waits for the connections' threads.
        self._thread.join()
        if self._faults and error is None:
            raise AssertionError("the script of the server failed") from self._faults[0]

    def serve(self, connection: socket.socket) -> None:
        """Answer the requests of one connection until it ends."""
        with self._lock:
            self.connections += 1
            self._sockets.add(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            # The client may go at any time, as some tests mean it to.
            with contextlib.suppress(OSError):
                while self._serve_one(connection):
                    pass
        finally:
            with self._lock:
                self._sockets.discard(connection)

    def _serve_one(self, connection: socket.socket) -> bool:
        """Answer one request; say whether another may come over the same connection."""
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
                return self._script.pop(0) if self._script else errors(418, "the script has come to its end")
        except Exception as e:  # noqa: BLE001 -- told at the end of the test, which else would not see it
            self._faults.append(e)
            return errors(418, f"the script failed: {e!r}")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], owner: ScriptedServer) -> None:
        self._owner = owner
        super().__init__(address, socketserver.BaseRequestHandler)

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
    """Reset the connection, so that the other side meets an error and not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False


def unused_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
