# SPDX-License-Identifier: Apache-2.0
"""What a webhook that is signed says, as far as anything is done with it. Free of Airflow and of I/O."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_provider_agentruns.exceptions import AgentRunsValueError

#: How old an event may be: the service sends one that it could not deliver for about three days. What was taken is
#: remembered longer than that, so that nothing can be made to happen again.
OLDEST = timedelta(days=4)

#: How far its clock may be ahead.
FROM_THE_FUTURE = timedelta(minutes=5)

_CREATED, _COMPLETED, _INTERRUPTED = "run.created", "run.completed", "run.interrupted"
_ENDED = ("completed", "error")

#: Longer ids and agent types than any that there are. Airflow keeps no longer keys.
_Name = Annotated[str, Field(max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _Type(_Lenient):
    type: str


class _Interrupt(_Lenient):
    id: str
    value: Any = None


class _Run(_Lenient):
    id: _Name
    status: str | None = None
    agent: _Name | None = None
    interrupts: list[_Interrupt] | None = None


class _Data(_Lenient):
    object: _Run


class _Event(_Lenient):
    id: _Name
    type: str
    created_at: datetime
    data: _Data


@dataclass(frozen=True)
class RunChange:
    """
    A change of a run.

    :param status: What it came to: ``completed``, ``interrupted`` or ``error``; None where that makes no event.
    :param state: What tells this state of the run from its others. The same for each event that tells of it.
    """

    event_id: str
    run_id: str
    status: str | None
    agent: str | None
    state: str

    @property
    def payload(self) -> dict[str, Any]:
        """What an asset event holds."""
        return {"run_id": self.run_id, "status": self.status, "agent": self.agent}


def read_event(body: bytes, now: datetime | None = None) -> RunChange | None:
    """
    Return the change that a webhook tells of.

    It is the run's status that counts, and only then the event's type: what comes late, or out of order, may show the
    run as it has become meanwhile.

    :param body: Its body, whose signature is right.
    :return: None where it is of a type that means nothing here.
    :raises AgentRunsValueError: If it is malformed, too old, or from the future.
    """
    try:
        if _Type.model_validate_json(body).type not in (_CREATED, _COMPLETED, _INTERRUPTED):
            return None
        event = _Event.model_validate_json(body)
    except ValidationError as e:
        problems = (f"{'.'.join(map(str, error['loc'])) or 'the body'}: {error['msg']}" for error in e.errors())
        raise AgentRunsValueError(f"The event is malformed: {'; '.join(problems)}") from None
    _check_age(event.created_at, now or datetime.now(UTC))
    run = event.data.object
    status = _status(event.type, run)
    return RunChange(event.id, run.id, status, run.agent, _state(event, run, status))


def _check_age(created: datetime, now: datetime) -> None:
    moment = created if created.tzinfo else created.replace(tzinfo=UTC)
    if moment < now - OLDEST:
        raise AgentRunsValueError(f"The event of {moment.isoformat()} is older than {OLDEST.days} days")
    if moment > now + FROM_THE_FUTURE:
        raise AgentRunsValueError(f"The event of {moment.isoformat()} is from the future. Are both clocks right?")


def _status(event_type: str, run: _Run) -> str | None:
    if event_type == _COMPLETED and run.status not in _ENDED:
        raise AgentRunsValueError(
            f"data.object.status of a {_COMPLETED} should be {' or '.join(_ENDED)}, not {run.status!r}"
        )
    if run.status in _ENDED:
        return run.status
    # It was interrupted, even if it goes on by now.
    asks = event_type == _INTERRUPTED or (run.status == "interrupted" and run.interrupts)
    return "interrupted" if asks else None


def _state(event: _Event, run: _Run, status: str | None) -> str:
    if status in _ENDED:
        return str(status)
    if status is None or not run.interrupts:
        return f"{status or event.type}:{_digest(event.id)}"
    # A run may ask again and again: what it asks tells its rounds apart.
    asked = sorted(json.dumps([asking.id, asking.value], sort_keys=True) for asking in run.interrupts)
    return f"{status}:{_digest(json.dumps(asked))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
