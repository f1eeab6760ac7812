# SPDX-License-Identifier: Apache-2.0
"""Converts failed responses and broken connections to the package's errors. Without I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from airflow_provider_agentruns.client.body import BodyTooLargeError
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.responses import Response
from airflow_provider_agentruns.exceptions import (
    AgentRunsAPIError,
    AgentRunsConnectionError,
    AgentRunsResponseTooLargeError,
    api_error_class,
)

T = TypeVar("T")


def read(request: Request[T], response: Response, redact: Callable[[str], str]) -> T:
    """Return the result of a request, or raise an AgentRunsAPIError if the response is an error or not valid."""
    status = response.status_code
    if not 200 <= status < 300:
        raise api_error_class(status)(
            status,
            [redact(message) for message in _messages(response)],
            request.method,
            request.path,
            retry_after=response.retry_after,
            # A 429 had no effect. After a gateway error, the effect is unknown.
            in_doubt=status >= 500 and request.method == "POST",
        )
    try:
        return request.parse(response)
    except ValidationError as e:
        # Omit the values, which may be personal data.
        first = e.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the response"
        problem = f"the response cannot be read: {where}: {first['msg']}"
    except ValueError:
        kind = response.headers.get("content-type", "no content type")
        problem = (
            f"the response is not JSON ({kind}). Check that the connection's base URL is correct, and that the "
            "response does not come from a proxy"
        )
    in_doubt = request.method == "POST"
    raise AgentRunsAPIError(status, [redact(problem)], request.method, request.path, in_doubt=in_doubt)


def connection_error(
    request: Request[Any], error: httpx.HTTPError, base_url: str, redact: Callable[[str], str]
) -> AgentRunsConnectionError:
    """Return the error for a request without a usable response. Without a connection, nothing was sent."""
    unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    details = redact(str(error)) or "no details"
    if "CERTIFICATE_VERIFY_FAILED" in details:
        details += (
            ". If your network uses its own CA, set verify in the connection's extra to the path of its CA bundle. "
            "REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE have no effect"
        )
    kind = AgentRunsResponseTooLargeError if isinstance(error, BodyTooLargeError) else AgentRunsConnectionError
    return kind(
        f"{request.method} {request.path}: {base_url} "
        f"{'could not be reached' if unsent else 'gave no usable response'} ({type(error).__name__}: {details})",
        in_doubt=not unsent and request.method == "POST",
    )


def _messages(response: Response) -> list[str]:
    if 300 <= response.status_code < 400:
        location = response.headers.get("location", "an unnamed location")
        return [
            f"a redirect to {location}, not followed because it would receive the token. "
            "Correct the connection's base URL"
        ]
    try:
        messages = [
            f"{entry['message']} ({entry['parameter']})" if entry.get("parameter") else str(entry["message"])
            for entry in response.json()["errors"]
        ]
    except (ValueError, TypeError, KeyError, AttributeError):
        messages = []
    return messages or [f"no error message ({response.headers.get('content-type', 'no content type')})"]
