# SPDX-License-Identifier: Apache-2.0
"""Reads request bodies of senders who are not authenticated yet."""

from __future__ import annotations

import asyncio

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

#: The largest body, in bytes. A webhook may hold a run's output, which takes some hundred KiB.
MAX_SIZE = 1024 * 1024

#: The total size of the bodies that a process reads at once, in bytes.
MAX_TOTAL_SIZE = 64 * MAX_SIZE

#: Seconds that a body may take to arrive.
_TIMEOUT = 20.0

# The rest of the body is not read, so the TCP connection cannot be used again.
_CLOSE = {"Connection": "close"}


class BodyReader:
    """Reads bodies, and limits how much memory all of them take together. For one event loop."""

    def __init__(self) -> None:
        self._total = 0

    async def read(self, request: Request) -> bytes:
        """
        Return the body, byte for byte as sent.

        :raises HTTPException: 413 if the body is too large, 408 if it is too slow, 400 if it is incomplete, and 503 if
            the process reads too much at once.
        """
        body = bytearray()
        try:
            async with asyncio.timeout(_TIMEOUT):
                # The server has checked that it is a number.
                _check_size(int(request.headers.get("content-length", 0)))
                async for part in request.stream():
                    _check_size(len(body) + len(part))
                    body += part
                    self._total += len(part)
                    if self._total > MAX_TOTAL_SIZE:
                        raise HTTPException(503, "Service temporarily unavailable", {"Retry-After": "30", **_CLOSE})
        except TimeoutError:
            raise HTTPException(408, f"The body did not arrive within {_TIMEOUT:g} s", _CLOSE) from None
        except ClientDisconnect:
            raise HTTPException(400, "The body is incomplete") from None
        finally:
            self._total -= len(body)
        return bytes(body)


def _check_size(size: int) -> None:
    if size > MAX_SIZE:
        raise HTTPException(413, f"The body is larger than {MAX_SIZE} bytes", _CLOSE)
