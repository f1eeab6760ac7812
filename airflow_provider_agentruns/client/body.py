# SPDX-License-Identifier: Apache-2.0
"""Reads the body of a response within bounds: seconds, bytes, and the one content encoding that is requested."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping

import httpx

_GZIP = 16 + zlib.MAX_WBITS

#: A gzip body may consist of several members. Empty ones cost time and yield no bytes to count.
_MOST_MEMBERS = 100


def encoding(headers: Mapping[str, str]) -> str:
    """
    Return the content encoding of a response: ``gzip``, or an empty string.

    :raises httpx.DecodingError: If it is another one or a stack of several, which may expand a few bytes to gigabytes.
    """
    value = headers.get("content-encoding", "")
    names = [name for part in value.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    if names not in ([], ["gzip"], ["x-gzip"]):
        raise httpx.DecodingError(f"the response has the content encoding {value!r} instead of gzip or none")
    return "gzip" if names else ""


class BodyTooLargeError(httpx.ReadError):
    """A response has more bytes than its reader accepts."""


class BodyReader:
    """
    Collects the body of one response.

    :param headers: The response's headers.
    :param timeout: The longest time for the whole body, in seconds.
    :param max_bytes: The largest body, in bytes, compressed or not.
    :raises httpx.DecodingError: If the response has an encoding that was not requested.
    """

    def __init__(self, headers: Mapping[str, str], timeout: float, max_bytes: int) -> None:
        self._gzip = zlib.decompressobj(_GZIP) if encoding(headers) else None
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._max_bytes = max_bytes
        self._received = self._size = 0
        self._members = 1
        self._chunks: list[bytes] = []

    def add(self, raw: bytes) -> None:
        """
        Add bytes as they were received.

        :raises httpx.HTTPError: If the body is too large, takes too long, or cannot be decompressed.
        """
        self._received += len(raw)
        try:
            self._append(raw) if self._gzip is None else self._decompress(raw)
        except zlib.error as e:
            raise httpx.DecodingError(f"the response cannot be decompressed: {e}") from None
        if max(self._received, self._size) > self._max_bytes:
            raise BodyTooLargeError(f"the response is larger than {self._max_bytes} bytes")
        if time.monotonic() > self._deadline:
            raise httpx.ReadTimeout(f"the response took longer than {self._timeout:g} s")

    def content(self) -> bytes:
        """
        Return the whole body.

        :raises httpx.DecodingError: If the compressed data ended early.
        """
        if self._gzip is not None and self._received and not self._gzip.eof:
            raise httpx.DecodingError("the compressed response ended early")
        return b"".join(self._chunks)

    def _append(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)

    def _decompress(self, raw: bytes) -> None:
        assert self._gzip is not None  # noqa: S101 -- for the type checker
        while raw and self._size <= self._max_bytes:
            if self._gzip.eof:
                self._members += 1
                if self._members > _MOST_MEMBERS:
                    raise httpx.DecodingError(f"the compressed response has more than {_MOST_MEMBERS} parts")
                self._gzip = zlib.decompressobj(_GZIP)
            # One byte more than allowed shows that there is more.
            self._append(self._gzip.decompress(raw, self._max_bytes - self._size + 1))
            raw = self._gzip.unused_data or self._gzip.unconsumed_tail
