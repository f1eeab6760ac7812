# SPDX-License-Identifier: Apache-2.0
"""Turns whatever goes wrong into the error body of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_agentruns.emulator.problems import (
    Incomplete,
    Malformed,
    NotEnabled,
    NotFound,
    NotPending,
    Problem,
    Unprocessable,
)

_STATUSES: Mapping[type[Problem], HTTPStatus] = {
    Malformed: HTTPStatus.BAD_REQUEST,
    Incomplete: HTTPStatus.BAD_REQUEST,
    NotEnabled: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    NotPending: HTTPStatus.CONFLICT,
    Unprocessable: HTTPStatus.UNPROCESSABLE_ENTITY,
}


def error_response(
    status: int, message: str, parameter: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Make an answer that says what is wrong."""
    error = {"message": message} | ({"parameter": parameter} if parameter else {})
    return JSONResponse({"errors": [error]}, status, headers)


async def answer_problem(request: Request, problem: Exception) -> Response:
    """Answer what the service refuses."""
    assert isinstance(problem, Problem)  # noqa: S101 -- this is how it is registered
    return error_response(_STATUSES[type(problem)], problem.message, problem.parameter)


async def answer_http_exception(request: Request, exception: Exception) -> Response:
    """Answer an unknown path, a method that it does not have, and the like."""
    assert isinstance(exception, HTTPException)  # noqa: S101 -- this is how it is registered
    message = f"{exception.detail}: {request.method} {request.url.path}"
    return error_response(exception.status_code, message, headers=exception.headers)


async def answer_fault(request: Request, fault: Exception) -> Response:
    """Answer a fault of the service itself; the web server logs it."""
    return error_response(HTTPStatus.INTERNAL_SERVER_ERROR, "The service has a fault")
