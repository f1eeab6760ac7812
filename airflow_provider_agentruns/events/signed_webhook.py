# SPDX-License-Identifier: Apache-2.0
"""Checks the signature of a webhook, and parses its body. Without I/O."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple

from pydantic import AliasPath, AwareDatetime, BaseModel, FailFast, Field, ValidationError

from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.text import digest

HEADER = "X-Middesk-Signature-256"
_SIGNATURE = re.compile(r"\s*(?:sha256=)?([0-9a-f]{64})\s*", re.ASCII | re.IGNORECASE)
#: The service retries an event for about three days. Rejecting older events prevents a replay after the deletion of
#: their keys.
MAX_AGE = timedelta(days=4)

_MAX_CLOCK_SKEW = timedelta(minutes=5)

# Airflow's columns allow 255 characters, more than any ID, status, or agent type of the service has.
_Name = Annotated[str, Field(max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Body(BaseModel):
    type: str


class _Interrupt(BaseModel):
    id: str
    value: Any = None


class _Event(_Body):
    id: _Name
    created_at: AwareDatetime
    run_id: _Name = Field(validation_alias=AliasPath("data", "object", "id"))
    status: _Name | None = Field(None, validation_alias=AliasPath("data", "object", "status"))
    agent: _Name | None = Field(None, validation_alias=AliasPath("data", "object", "agent"))
    interrupts: Annotated[list[_Interrupt] | None, FailFast()] = Field(
        None, validation_alias=AliasPath("data", "object", "interrupts")
    )


class RunStatusChange(NamedTuple):
    event_id: str
    run_id: str
    status: str
    agent: str | None
    #: The same in all events that report this status of this run. Other interrupts have another key.
    key: str


def sign(body: bytes, secret: str) -> str:
    """Return the value of the header for a body: its HMAC-SHA256 under a secret of the connection."""
    return f"sha256={hmac.digest(secret.encode(), body, hashlib.sha256).hex()}"


def parse_signature(header: str | None) -> str | None:
    """Return the signature in a header, with or without ``sha256=``, as :func:`sign` does; None if there is none."""
    match = _SIGNATURE.fullmatch(header or "")
    return f"sha256={match[1].lower()}" if match else None


def is_signed(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Return, in constant time, whether one of the secrets signed the body."""
    return any([hmac.compare_digest(signature, sign(body, secret)) for secret in secrets])  # noqa: C419


def parse_webhook_event(body: bytes) -> RunStatusChange | None:
    """Return the change that a verified event reports, if any. Raise an AgentRunsValueError if the event is invalid."""
    try:
        if _Body.model_validate_json(body).type not in ("run.created", "run.completed", "run.interrupted"):
            return None
        event = _Event.model_validate_json(body)
    except ValidationError as e:
        errors = [f"{'.'.join(map(str, error['loc'])) or 'the body'}: {error['msg']}" for error in e.errors()]
        raise AgentRunsValueError(f"The event is malformed: {'; '.join(errors)}") from None
    if not -_MAX_CLOCK_SKEW <= datetime.now(UTC) - event.created_at <= MAX_AGE:
        created = event.created_at.isoformat()
        raise AgentRunsValueError(f"The event of {created} is older than {MAX_AGE.days} days or from the future")
    # The run's status takes precedence over the event's type, because a late event may show the run's current state.
    if event.status in ("completed", "error"):
        return RunStatusChange(event.id, event.run_id, event.status, event.agent, f"{event.run_id}:{event.status}")
    if event.type == "run.completed":
        raise AgentRunsValueError(
            f"data.object.status of a run.completed event must be completed or error, not {event.status!r}"
        )
    # A run.interrupted event reports an interruption even if the run has continued.
    if event.type == "run.interrupted" or (event.status == "interrupted" and event.interrupts):
        interrupts = sorted(digest([interrupt.id, interrupt.value]) for interrupt in event.interrupts or ())
        key = f"{event.run_id}:interrupted:{digest(interrupts or event.id)[:32]}"
        return RunStatusChange(event.id, event.run_id, "interrupted", event.agent, key)
    return None
