# SPDX-License-Identifier: Apache-2.0
"""Authenticates requests and enforces the rate limit."""

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
    The valid token. It can be rotated while the service is running.

    :param value: The only valid token. None accepts any token.
    """

    def __init__(self, value: str | None) -> None:
        self.value = value
        #: When the token became valid, by ``time.monotonic()``.
        self.since = time.monotonic()

    def rotate(self, value: str) -> None:
        """
        Replace the valid token.

        :raises ValueError: If the new token is blank.
        """
        if not value.strip():
            raise ValueError("a token must not be blank")
        self.value = value
        self.since = time.monotonic()

    def accepts(self, token: str) -> bool:
        """Return whether a token is valid."""
        return bool(token) if self.value is None else secrets.compare_digest(token.encode(), self.value.encode())


def token_in(scope: Scope) -> str:
    """Return the bearer token of a request, or an empty text."""
    scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class Auth:
    """
    Middleware that responds 401 to a wrong token, and 429 beyond the rate limit.

    :param token: The valid token.
    :param rate_limit: Requests per second for all tokens together. None means no limit.
    """

    def __init__(self, app: ASGIApp, *, token: Token, rate_limit: int | None) -> None:
        self._app = app
        self._token = token
        self._rate_limit = rate_limit
        self._accepted: deque[float] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        if not self._token.accepts(token_in(scope)):
            return error_response(401, "A valid token is needed: Authorization: Bearer ...")
        if self._limit_reached():
            message = f"More than {self._rate_limit} requests within a second"
            return error_response(429, message, headers={"Retry-After": "1"})
        return None

    def _limit_reached(self) -> bool:
        if self._rate_limit is None:
            return False
        now = time.monotonic()
        while self._accepted and self._accepted[0] <= now - _WINDOW:
            self._accepted.popleft()
        if len(self._accepted) >= self._rate_limit:
            return True
        self._accepted.append(now)
        return False
