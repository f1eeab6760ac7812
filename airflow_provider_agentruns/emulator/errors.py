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


def error_response(
    status: int, message: str, parameter: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response with one error."""
    error = {"message": message} | ({"parameter": parameter} if parameter else {})
    return JSONResponse({"errors": [error]}, status, headers)


async def on_error(request: Request, error: Exception) -> Response:
    """Respond to a refused request, to an unknown path or method, or to a bug, which the web server logs."""
    if isinstance(error, RequestError):
        return error_response(error.status_code, error.detail, error.parameter)
    if isinstance(error, HTTPException):
        message = f"{error.detail}: {request.method} {request.url.path}"
        return error_response(error.status_code, message, headers=error.headers)
    return error_response(500, "Internal error")
