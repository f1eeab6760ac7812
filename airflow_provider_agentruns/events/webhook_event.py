# SPDX-License-Identifier: Apache-2.0
"""Parses the body of a signed webhook. Independent of Airflow, and without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AliasPath, AwareDatetime, BaseModel, ConfigDict, FailFast, Field, ValidationError

from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.exceptions import AgentRunsValueError

#: The service retries an event for about three days. Older events are rejected, so that none can be replayed after
#: its key was deleted.
MAX_AGE = timedelta(days=4)

#: The service's clock may be ahead by this much.
_MAX_CLOCK_SKEW = timedelta(minutes=5)

_ENDED = ("completed", "error")

# Longer than any ID, status, or agent type of the service, and as long as Airflow's columns allow.
_Name = Annotated[str, Field(max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Body(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

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


@dataclass(frozen=True)
class RunStatusChange:
    """
    A run that reached a status.

    :param status: ``completed``, ``interrupted``, or ``error``.
    :param key: Identifies this status of this run, whichever event reports it. An interrupted run has another key for
        other interrupts.
    """

    event_id: str
    run_id: str
    status: str
    agent: str | None
    key: str

    @property
    def payload(self) -> dict[str, Any]:
        """The payload of an asset event, as ``AgentRunEventTrigger`` creates it."""
        return {"run_id": self.run_id, "status": self.status, "agent": self.agent}


def parse_webhook_event(body: bytes) -> RunStatusChange | None:
    """
    Return the change that an event reports; None if it reports none.

    :param body: A body whose signature is valid.
    :raises AgentRunsValueError: If the event is malformed, too old, or from the future.
    """
    try:
        if _Body.model_validate_json(body).type not in ("run.created", "run.completed", "run.interrupted"):
            return None
        event = _Event.model_validate_json(body)
    except ValidationError as e:
        errors = [f"{'.'.join(map(str, error['loc'])) or 'the body'}: {error['msg']}" for error in e.errors()]
        raise AgentRunsValueError(f"The event is malformed: {'; '.join(errors)}") from None
    now = datetime.now(UTC)
    if event.created_at < now - MAX_AGE:
        raise AgentRunsValueError(f"The event of {event.created_at.isoformat()} is older than {MAX_AGE.days} days")
    if event.created_at > now + _MAX_CLOCK_SKEW:
        raise AgentRunsValueError(f"The event of {event.created_at.isoformat()} is from the future. Check the clocks")
    # The run's status counts more than the event's type, because a late event may show the run as it is by now.
    if event.status in _ENDED:
        return RunStatusChange(event.id, event.run_id, event.status, event.agent, f"{event.run_id}:{event.status}")
    if event.type == "run.completed":
        raise AgentRunsValueError(
            f"data.object.status of a run.completed event must be {' or '.join(_ENDED)}, not {event.status!r}"
        )
    # A run.interrupted event reports an interruption even if the run has continued since.
    if event.type == "run.interrupted" or (event.status == "interrupted" and event.interrupts):
        interrupts = sorted(digest([interrupt.id, interrupt.value]) for interrupt in event.interrupts or ())
        key = f"{event.run_id}:interrupted:{digest(interrupts or event.id)[:32]}"
        return RunStatusChange(event.id, event.run_id, "interrupted", event.agent, key)
    return None
