# SPDX-License-Identifier: Apache-2.0
"""Lets requests pass that have a token and keep to the rate limit."""

from __future__ import annotations

import secrets
import time
from collections import deque

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_agentruns.emulator.errors import error_response

_WINDOW = 1.0


class Token:
    """
    The token that is good. It may be rotated while the service is up.

    :param value: The only one that is good; None takes any.
    """

    def __init__(self, value: str | None) -> None:
        self.value = value
        #: When it came to be good, by ``time.monotonic()``.
        self.since = time.monotonic()

    def rotate(self, value: str) -> None:
        """
        Take another one instead, and no other.

        :raises ValueError: If there is nothing in it.
        """
        if not value.strip():
            raise ValueError("a token has to have something in it")
        self.value = value
        self.since = time.monotonic()

    def is_good(self, token: str) -> bool:
        """Whether a token is the one that is good."""
        return bool(token) if self.value is None else secrets.compare_digest(token.encode(), self.value.encode())


class Guard:
    """
    Middleware that answers 401 and 429.

    :param token: The token that is good.
    :param rate_limit: How many requests may come within one second, all tokens together; None allows any number.
    """

    def __init__(self, app: ASGIApp, *, token: Token, rate_limit: int | None) -> None:
        self._app = app
        self._token = token
        self._rate_limit = rate_limit
        self._passed: deque[float] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> Response | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self._token.is_good(token.strip()):
            return error_response(401, "A valid token is needed: Authorization: Bearer ...")
        if self._too_many():
            message = f"More than {self._rate_limit} requests within a second"
            return error_response(429, message, headers={"Retry-After": "1"})
        return None

    def _too_many(self) -> bool:
        if self._rate_limit is None:
            return False
        now = time.monotonic()
        while self._passed and self._passed[0] <= now - _WINDOW:
            self._passed.popleft()
        if len(self._passed) >= self._rate_limit:
            return True
        self._passed.append(now)
        return False
