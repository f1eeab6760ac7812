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


class Token:
    """
    The valid token. It can be rotated while the service is running.

    :param value: The only valid token. None accepts any token.
    """

    def __init__(self, value: str | None) -> None:
        self.value = value

    def rotate(self, value: str) -> None:
        """
        Replace the valid token.

        :raises ValueError: If the new token is blank.
        """
        if not value.strip():
            raise ValueError("a token must not be blank")
        self.value = value

    def accepts(self, token: str) -> bool:
        """Return whether a token is valid."""
        return bool(token) if self.value is None else secrets.compare_digest(token.encode(), self.value.encode())


class Auth:
    """
    Middleware that responds 401 to a wrong token, and 429 beyond the rate limit.

    :param rate_limit: Requests per second for all tokens together. None means no limit.
    """

    def __init__(self, app: ASGIApp, *, token: Token, rate_limit: int | None) -> None:
        self._app = app
        self._token = token
        self._rate_limit = rate_limit
        #: When the last requests were accepted, at most as many as the rate limit.
        self._accepted = deque[float](maxlen=rate_limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self._token.accepts(token.strip()):
            return error_response(401, "A valid token is needed: Authorization: Bearer ...")
        if self._rate_limit is not None:
            now = time.monotonic()
            if len(self._accepted) == self._rate_limit and now - self._accepted[0] < 1:
                message = f"More than {self._rate_limit} requests within a second"
                return error_response(429, message, headers={"Retry-After": "1"})
            self._accepted.append(now)
        return None
