# SPDX-License-Identifier: Apache-2.0
"""Reads the bodies and the queries of requests, and refuses what the contract does not allow."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from starlette.requests import Request

from airflow_provider_agentruns.emulator.checks import is_uuid
from airflow_provider_agentruns.emulator.problems import Malformed, Unprocessable
from airflow_provider_agentruns.emulator.scripts import Json

_LONGEST_COMMENT = 5000
_PAGE_SIZE = 20
_LARGEST_PAGE_SIZE = 100
# More digits make no sense, and turn into a number slowly.
_INTEGER = re.compile(r"[0-9]{1,18}")


async def json_object(request: Request) -> Json:
    """
    Read a body.

    :raises Malformed: If it is not JSON.
    :raises Unprocessable: If it is no JSON object.
    """
    raw = await request.body()
    try:
        body = json.loads(raw.decode())
        # What Python reads as JSON and cannot write again (NaN, 1e999, half a surrogate pair) is none.
        json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Malformed("The body is not JSON") from None
    if not isinstance(body, dict):
        raise Unprocessable("The body must be a JSON object")
    return body


def text(body: Json, name: str) -> str:
    """
    Read a field that must be there.

    :raises Unprocessable: If it is missing, empty or no string.
    """
    value = optional_text(body, name)
    if value is None:
        raise Unprocessable(f"{name} is missing", name)
    return value


def optional_text(body: Json, name: str) -> str | None:
    """
    Read a field that may be left out.

    :raises Unprocessable: If it is empty or no string.
    """
    if name not in body:
        return None
    value = body[name]
    if not isinstance(value, str) or not value.strip():
        raise Unprocessable(f"{name} must be a string with something in it", name)
    return value


def context_fields(body: Json) -> dict[str, str | None]:
    """Read the fields that say what a run or a thread is about."""
    return {name: optional_text(body, name) for name in ("business_id", "context_type", "context_id")}


class Rating(NamedTuple):
    """A person's verdict on an artifact, as it was sent."""

    rating: str
    artifact_id: str
    comment: str | None


def rating(body: Json) -> Rating:
    """
    Read a rating.

    :raises Unprocessable: If a field is missing or wrong.
    """
    value, artifact_id, comment = text(body, "rating"), text(body, "artifact_id"), body.get("comment")
    if value not in ("POSITIVE", "NEGATIVE"):
        raise Unprocessable("rating must be POSITIVE or NEGATIVE", "rating")
    if not is_uuid(artifact_id):
        raise Unprocessable("artifact_id must be a UUID", "artifact_id")
    if comment is not None and not isinstance(comment, str):
        raise Unprocessable("comment must be a string or null", "comment")
    if comment is not None and len(comment) > _LONGEST_COMMENT:
        raise Unprocessable(f"comment has {len(comment)} characters; {_LONGEST_COMMENT} fit", "comment")
    return Rating(value, artifact_id, comment)


def page_and_size(request: Request) -> tuple[int, int]:
    """
    Read which page is asked for, and how large it may be.

    :raises Unprocessable: If either is no integer from 1.
    """
    return _from_one(request, "page", 1), min(_from_one(request, "per_page", _PAGE_SIZE), _LARGEST_PAGE_SIZE)


def wants_steps(request: Request) -> bool:
    """Whether ``include`` names the steps."""
    return "steps" in (name.strip() for name in request.query_params.get("include", "").split(","))


def _from_one(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    if not _INTEGER.fullmatch(given) or int(given) < 1:
        raise Unprocessable(f"{name} must be an integer from 1", name)
    return int(given)
