# SPDX-License-Identifier: Apache-2.0
"""Reading a request's body within bounds: nobody has said yet that he may send one."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

#: The largest body, in bytes. It may hold a run's whole output, which is some hundred KiB at most.
LARGEST = 1024 * 1024

#: How long it may take to come, in seconds.
_PATIENCE = 20.0


class TooLargeError(Exception):
    """A body is larger than any that the service sends."""


async def read_body(request: Request) -> bytes:
    """
    Return the body as it was sent, to the byte.

    :raises TooLargeError: If it is larger than :data:`LARGEST`; nothing more of it is read.
    :raises TimeoutError: If it takes too long to come.
    :raises starlette.requests.ClientDisconnect: If it breaks off.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > LARGEST:
        raise TooLargeError
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(_PATIENCE):
        async for part in request.stream():
            size += len(part)
            if size > LARGEST:
                raise TooLargeError
            parts.append(part)
    return b"".join(parts)
