# SPDX-License-Identifier: Apache-2.0
"""Reads the body of a response, with limits on time, size, and content encoding."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping

import httpx


def is_gzip(headers: Mapping[str, str]) -> bool:
    """Return whether a response is compressed. Other encodings than one gzip could expand to gigabytes, and raise."""
    value = headers.get("content-encoding", "")
    encoding = value.strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise httpx.DecodingError(f"the response has the content encoding {value!r} instead of gzip or none")
    return encoding == "gzip"


class BodyTooLargeError(httpx.ReadError):
    """A response has more bytes than its reader accepts."""


class BodyReader:
    """
    Collects the body of one response. A violation of a limit raises an ``httpx.HTTPError``.

    :param timeout: The longest time for the whole body, in seconds.
    :param max_bytes: The largest body, compressed or not.
    """

    def __init__(self, headers: Mapping[str, str], timeout: float, max_bytes: int) -> None:
        self._gzip = zlib.decompressobj(16 + zlib.MAX_WBITS) if is_gzip(headers) else None
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._max_bytes = max_bytes
        self._received = 0
        self._content = bytearray()

    def add(self, raw: bytes) -> None:
        self._received += len(raw)
        if self._gzip:
            try:
                # One byte above the limit shows that the body is too large.
                raw = self._gzip.decompress(raw, self._max_bytes - len(self._content) + 1)
            except zlib.error as e:
                raise httpx.DecodingError(f"the response cannot be decompressed: {e}") from None
        self._content += raw
        if max(self._received, len(self._content)) > self._max_bytes:
            raise BodyTooLargeError(f"the response is larger than {self._max_bytes} bytes")
        if time.monotonic() > self._deadline:
            raise httpx.ReadTimeout(f"the response took longer than {self._timeout:g} s")

    def content(self) -> bytes:
        if self._gzip and self._received and (not self._gzip.eof or self._gzip.unused_data):
            raise httpx.DecodingError("the compressed response is incomplete or has data after its end")
        return bytes(self._content)
