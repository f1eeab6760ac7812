# SPDX-License-Identifier: Apache-2.0
"""Middleware that records requests, applies faults, and authenticates requests."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from airflow_provider_agentruns.emulator.app import error_response
from airflow_provider_agentruns.emulator.faults import Faults


@dataclass(slots=True)
class RecordedRequest:
    """
    One request, without its headers.

    :param query: The part after the question mark, not decoded.
    :param at: The time of arrival by ``time.monotonic()``.
    :param status: The status of the response. None until the response begins.
    :param fault: The name of the fault that applied.
    """

    method: str
    path: str
    query: str
    at: float
    status: int | None = None
    fault: str | None = None


class FaultMiddleware(BaseHTTPMiddleware):
    """Records each request, and applies the fault that is due."""

    def __init__(self, app: ASGIApp, faults: Faults, requests: list[RecordedRequest]) -> None:
        super().__init__(app)
        self._faults = faults
        self._requests = requests

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Respond to a request."""
        query = request.scope["query_string"].decode()
        record = RecordedRequest(request.method, request.scope["path"], query, time.monotonic())
        self._requests.append(record)
        try:
            await request.body()
        except ClientDisconnect:
            return Response()
        response: Response | None
        if rule := self._faults.select(request):
            record.fault = rule.fault.name
            response = await rule.apply(request, call_next)
        else:
            response = await call_next(request)
        if response is None:
            return Response()
        record.status = response.status_code
        # The fault "clock skew" sets another date.
        response.headers.setdefault("date", formatdate(usegmt=True))
        return response


class AuthMiddleware(BaseHTTPMiddleware):
    """
    Responds 401 to a wrong token, and 429 beyond the rate limit.

    :param valid_token: Returns the valid token, or None if any token is valid.
    :param rate_limit: Requests per second.
    """

    def __init__(self, app: ASGIApp, valid_token: Callable[[], str | None], rate_limit: int | None) -> None:
        super().__init__(app)
        self._valid_token = valid_token
        self._rate_limit = rate_limit
        #: The times of the last accepted requests.
        self._accepted = deque[float](maxlen=rate_limit)

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Respond to a request."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        valid = self._valid_token() or token
        if scheme.lower() != "bearer" or not valid or not secrets.compare_digest(token.encode(), valid.encode()):
            return error_response(401, "A valid token is needed: Authorization: Bearer ...")
        if self._rate_limit is not None:
            now = time.monotonic()
            if len(self._accepted) == self._rate_limit and now - self._accepted[0] < 1:
                message = f"More than {self._rate_limit} requests within a second"
                return error_response(429, message, headers={"Retry-After": "1"})
            self._accepted.append(now)
        return await call_next(request)
