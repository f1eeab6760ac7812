# SPDX-License-Identifier: Apache-2.0
"""
The three services, in a process of their own and as fast as possible, because they are not what is measured.

The measured code requests ``/v1/runs...`` (agent runs), ``/api/v2/accounts/...`` (dbt Cloud), or
``/api/2.2/jobs/runs/get`` (Databricks). Requests below ``/bench/`` are for the benchmark and are not counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
import time
from bisect import bisect_left
from collections import deque
from typing import Any
from urllib.parse import parse_qsl

import uvicorn

from tests.benchmarks.bodies import OUTPUT, WARM_UP, RemoteRun, durations, remote_run, run_id
from tests.benchmarks.rows import LIMIT, ROWS, Row

_PAGE_SIZE = 20
_LARGEST_PAGE = 100
_JSON = (b"content-type", b"application/json")
_NOT_FOUND = b'{"errors":[{"message":"no such thing"}]}'
_TOO_MANY = b'{"errors":[{"message":"too many requests"}]}'


class Traffic:
    """
    Counts requests, and rejects some.

    :param limit: How many may come within one second; None allows any number.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._came: list[float] = []
        self._passed: deque[float] = deque(maxlen=limit)
        self.refused = 0

    def is_too_much(self) -> bool:
        now = time.monotonic()
        self._came.append(now)
        if self._limit is not None and len(self._passed) == self._limit and self._passed[0] > now - 1:
            self.refused += 1
            return True
        self._passed.append(now)
        return False

    @property
    def requests(self) -> int:
        return len(self._came)

    @property
    def busiest_second(self) -> int:
        return max((bisect_left(self._came, at + 1) - first for first, at in enumerate(self._came)), default=0)


class Services:
    """
    An ASGI application.

    :param row: Determines the number of runs, their order in the listing, and the rate limit.
    """

    def __init__(self, row: Row) -> None:
        self._row = row
        now = time.time()
        self._older = [remote_run(-2 - i, now - 86_400 - i, now - 86_000 - i) for i in range(row.older)]
        self._warm_up = remote_run(WARM_UP, now - 60, now - 30)
        self._begin([], now)
        self._show([self._warm_up, *self._older])

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        path: str = scope["path"]
        if path == "/bench/begin":
            # Preparing the runs takes some time.
            begins_at = time.time() + 0.1 + self._row.waits / 5000
            spans = durations(self._row.waits)
            # The runs created last come first in the listing. Triggers are created in this order, too.
            created = [begins_at - (len(spans) - i) / 1000 for i in range(len(spans))]
            self._begin([remote_run(i, created[i], begins_at + span) for i, span in enumerate(spans)], begins_at)
            self._show([*reversed(self._batch), *self._older])
        if path.startswith("/bench/"):
            return await _answer(send, 200, self._report())
        if self._traffic.is_too_much():
            return await _answer(send, 429, _TOO_MANY, (b"retry-after", b"1"))
        parts = path.strip("/").split("/")
        if parts == ["v1", "runs"]:
            return await _answer(send, 200, self._page(dict(parse_qsl(scope["query_string"].decode()))))
        if parts[:2] == ["v1", "runs"]:
            run = self._by_id.get(parts[2])
            if run and parts[3:] == ["stream"]:
                return await _stream(send, run)
            return await _show_one(send, run, "agent_run")
        if parts[:3] == ["api", "v2", "accounts"]:
            run = self._by_number.get(int(parts[-1]))
            return await _show_one(send, run, "dbt")
        if path == "/api/2.2/jobs/runs/get":
            run = self._by_number.get(await _asked_number(receive))
            return await _show_one(send, run, "databricks")
        return await _answer(send, 404, _NOT_FOUND)

    def _begin(self, batch: list[RemoteRun], begins_at: float) -> None:
        self._batch = batch
        self._begins_at = begins_at
        self._traffic = Traffic(LIMIT if self._row.limited else None)

    def _report(self) -> bytes:
        report = {
            "begins_at": self._begins_at,
            "requests": self._traffic.requests,
            "refused": self._traffic.refused,
            "busiest_second": self._traffic.busiest_second,
            "ends_at": [run.ends_at for run in self._batch],
        }
        return json.dumps(report).encode()

    def _show(self, newest_first: list[RemoteRun]) -> None:
        self._listing = newest_first[::-1] if self._row.oldest_first else newest_first
        # The run for the warm-up can still be read, but is not listed once the batch has begun.
        known = [*newest_first, self._warm_up]
        self._by_number = {run.number: run for run in known}
        self._by_id = {run_id(run.number): run for run in known}

    def _page(self, query: dict[str, str]) -> bytes:
        size = min(int(query.get("per_page", _PAGE_SIZE)), _LARGEST_PAGE)
        first = (int(query.get("page", 1)) - 1) * size
        shown = b",".join(run.body("agent_run") for run in self._listing[first : first + size])
        if not self._row.outputs:
            shown = shown.replace(OUTPUT, b"null")
        more = b"true" if first + size < len(self._listing) else b"false"
        about = (more, len(self._listing), shown)
        return b'{"object":"list","has_more":%b,"total_count":%d,"data":[%b]}' % about


def main() -> None:
    """
    Serve a row on a free port, and print the port.

    The arguments are the row's name, and the files of a certificate and its key.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    name, certificate, key = sys.argv[1:]
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            Services(ROWS[name]),
            ssl_certfile=certificate,
            ssl_keyfile=key,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            backlog=4096,
            # The default of 5 s is just the poll interval.
            timeout_keep_alive=75,
        )
    )
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    server.run(sockets=[listener])


def _end_with_parent() -> None:
    """End this process as soon as its parent has ended, which holds the other end of its standard input."""
    sys.stdin.read()
    os._exit(1)


async def _answer(send: Any, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [_JSON, length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def _show_one(send: Any, run: RemoteRun | None, service: str) -> None:
    if run is None:
        return await _answer(send, 404, _NOT_FOUND)
    return await _answer(send, 200, run.body(service))


async def _stream(send: Any, run: RemoteRun) -> None:
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    running, ended = run.bodies["agent_run"]
    for kind in (b"RUN_STARTED", b"STATE_SNAPSHOT"):
        await send(_event(run, kind, running))
    await asyncio.sleep(run.ends_at - time.time())
    for kind in (b"STATE_SNAPSHOT", b"RUN_FINISHED"):
        await send(_event(run, kind, ended))
    await send({"type": "http.response.body", "body": b""})


def _event(run: RemoteRun, kind: bytes, state: bytes) -> dict[str, Any]:
    about = (kind, kind, run_id(run.number).encode(), state[:-1])
    text = b'event: %b\ndata: {"type":"%b","run_id":"%b","snapshot":%b,"steps":[]}}\n\n' % about
    return {"type": "http.response.body", "body": text, "more_body": True}


async def _asked_number(receive: Any) -> int:
    """Return the number that Databricks' hook sends in the body of a GET."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return int(json.loads(body)["run_id"])


if __name__ == "__main__":
    main()
