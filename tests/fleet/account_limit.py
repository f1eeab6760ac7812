# SPDX-License-Identifier: Apache-2.0
"""Middleware of the offline service: the rate limit of an account, of several kinds."""

from __future__ import annotations

import time
from collections import deque
from typing import Literal

from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_agentruns.emulator.app import error_response

#: Requests per second that the service grants.
RATE = 20

Kind = Literal["window", "bucket"]


class AccountLimit:
    """
    Responds 429 to requests beyond the rate.

    :param kind: ``window`` accepts 20 requests within any second. ``bucket`` holds 20 tokens, and receives one every
        50 ms.
    :param retry_after: Whether a 429 has the header ``Retry-After: 1``.
    """

    def __init__(self, app: ASGIApp, *, kind: Kind = "window", retry_after: bool = True) -> None:
        self._app = app
        self._accepts = {"window": self._window_accepts, "bucket": self._bucket_accepts}[kind]
        self._headers = {"Retry-After": "1"} if retry_after else {}
        self._accepted = deque[float](maxlen=RATE)
        self._tokens, self._filled_at = float(RATE), time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request."""
        app: ASGIApp = self._app
        if scope["type"] == "http" and not self._accepts(time.monotonic()):
            app = error_response(429, f"More than {RATE} requests within a second", headers=self._headers)
        await app(scope, receive, send)

    def _window_accepts(self, now: float) -> bool:
        if len(self._accepted) == RATE and now - self._accepted[0] < 1:
            return False
        self._accepted.append(now)
        return True

    def _bucket_accepts(self, now: float) -> bool:
        self._tokens = min(RATE, self._tokens + (now - self._filled_at) * RATE)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
