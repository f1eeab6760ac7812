# SPDX-License-Identifier: Apache-2.0
"""Refused requests, and the error bodies of the contract."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class RequestError(HTTPException):
    """
    The service refuses a request.

    :param status: The HTTP status of the response.
    :param message: What is wrong, for people.
    :param parameter: The field that is wrong, if it is one.
    """

    def __init__(self, status: int, message: str, parameter: str | None = None) -> None:
        super().__init__(status, message)
        self.parameter = parameter


class NotFoundError(RequestError):
    """The service has nothing with the given ID."""

    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(404, message, parameter)


def error_response(
    status: int, message: str, parameter: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response with one error."""
    error = {"message": message} | ({"parameter": parameter} if parameter else {})
    return JSONResponse({"errors": [error]}, status, headers)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Respond to a request that the service refuses, or whose path or method it does not know."""
    assert isinstance(error, HTTPException)  # noqa: S101 -- it is registered for this class
    if isinstance(error, RequestError):
        return error_response(error.status_code, error.detail, error.parameter)
    return error_response(
        error.status_code, f"{error.detail}: {request.method} {request.url.path}", None, error.headers
    )


async def on_bug(request: Request, error: Exception) -> Response:
    """Respond to a bug in the service. The web server logs it."""
    return error_response(500, "Internal error")
