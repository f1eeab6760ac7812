# SPDX-License-Identifier: Apache-2.0
"""
The service's resources as pydantic models. They keep unknown fields, and return them from ``model_dump()``.

Most fields accept null, because a long wait must not fail because of a field that nobody reads.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

import pendulum
from pydantic import (
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    PlainSerializer,
    PlainValidator,
    SkipValidation,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from airflow_provider_agentruns.text import single_line

T = TypeVar("T")

log = logging.getLogger(__name__)

_warned_of: set[str] = set()


def _instant(value: Any) -> pendulum.DateTime:
    # The library's own error would quote the value, which may be personal data.
    with suppress(ValueError, TypeError, OverflowError):
        return pendulum.instance(value if isinstance(value, datetime) else datetime.fromisoformat(value))
    raise ValueError("should be an ISO 8601 instant such as 2026-01-31T12:00:00Z")


#: A moment as a pendulum ``DateTime`` with its time zone; ISO 8601 in JSON.
Instant = Annotated[
    pendulum.DateTime,
    PlainValidator(_instant),
    PlainSerializer(lambda moment: moment.isoformat().replace("+00:00", "Z"), when_used="json"),
]


def _or_unchanged(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError:
        return value


#: Text for people. Anything else that the service sends instead is kept unchanged.
Text = Annotated[str | None, WrapValidator(_or_unchanged)]

#: A list. Null counts as empty. Stops at the first error: all errors could take 100 times the response's memory.
Entries = Annotated[list[T], FailFast(), BeforeValidator(lambda value: [] if value is None else value)]


class RunStatus(StrEnum):
    """The status of a run. An unknown one counts as not finished, is shortened, and is logged once as a warning."""

    RUNNING = "running"
    COMPLETED = "completed"
    ERROR = "error"
    INTERRUPTED = "interrupted"

    @property
    def finished(self) -> bool:
        """Whether the run has ended and can never change its status again."""
        return self in (RunStatus.COMPLETED, RunStatus.ERROR)

    @classmethod
    def _missing_(cls, value: object) -> RunStatus | None:
        if not isinstance(value, str):
            return None
        # Not stored in the class: a service that invents statuses must not exhaust the memory.
        member = str.__new__(cls, single_line(value, 64))
        member._name_ = member._value_ = str(member)
        if member not in _warned_of and len(_warned_of) < 20:
            _warned_of.add(member._value_)
            log.warning("The service returned the unknown run status %r, which counts as not finished", member._value_)
        return member


class Rating(StrEnum):
    """A person's rating of an artifact."""

    POSITIVE = "POSITIVE"
    NEGATIVE = "NEGATIVE"


class ServiceModel(BaseModel):
    model_config = ConfigDict(extra="allow")

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        # Only what identifies the resource. Its content may be personal data.
        for name in ("id", "type", "status", "agent"):
            value = getattr(self, name, None)
            if isinstance(value, str):
                yield name, str(value)

    __str__ = BaseModel.__repr__


class Requester(ServiceModel):
    """Who started a run; ``email`` is null for an account."""

    id: str | None = None
    name: Text = None
    email: Text = None


class Source(ServiceModel):
    """The source of a statement in an artifact."""

    url: Text = None
    source_name: Text = None
    source_tier: Text = None
    source_type: Text = None


class Artifact(ServiceModel):
    """One result of a run, e.g. of type ``cip_summary``; ``confidence`` is a label such as ``high``."""

    title: Text = None
    type: Text = None
    confidence: Text = None
    summary: Text = None
    sources: Annotated[Entries[Source], WrapValidator(_or_unchanged)] = []


class Output(ServiceModel):
    """The envelope of a completed run's artifacts."""

    artifacts: Entries[Artifact] = []


class Interrupt(ServiceModel):
    """
    A question for a person.

    Its ``value`` is usually an object with ``label`` and ``artifacts``, or a ``combined_proposal`` with ``proposals``.
    """

    id: str
    agent: str | None = None
    value: Any = None

    @property
    def label(self) -> str:
        """The agent's question, or the questions of its proposals, however deeply nested, or the ID."""
        labels, pending = [], [self.value]
        while pending:
            part = pending.pop()
            if not isinstance(part, dict):
                continue
            if (label := part.get("label")) and isinstance(label, str):
                labels.append(label)
            elif isinstance(proposals := part.get("proposals"), list):
                pending.extend(reversed(proposals))
        return "; ".join(labels) or f"interrupt {self.id}"


class Step(ServiceModel):
    """One step of a run. ``label`` is for people; ``steps`` are inside this one."""

    id: str | None = None
    run_id: str | None = None
    agent: str | None = None
    type: Text = None
    name: Text = None
    label: Text = None
    parent_step_id: str | None = None
    status: str | None = None
    started_at: Instant | None = None
    completed_at: Instant | None = None
    steps: Entries[Step] = []
    result: Any = None
    artifacts: Entries[Artifact] = []

    def walk(self) -> Iterator[Step]:
        """Yield this step and all steps inside it, outermost first."""
        pending = [self]
        while pending:
            step = pending.pop()
            yield step
            pending.extend(reversed(step.steps))


class AgentRun(ServiceModel):
    """
    One piece of an agent's work. ``steps`` are present if requested.

    ``raw_output`` is the output as the service sent it, with all fields in their order. ``model_dump()`` omits it.
    """

    id: str
    status: RunStatus
    created_at: Instant | None = None
    updated_at: Instant | None = None
    thread_id: str | None = None
    agent: str | None = None
    requester: Requester | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None
    output: Output | None = None
    raw_output: SkipValidation[dict[str, Any] | None] = Field(
        default=None, validation_alias=AliasPath("output"), exclude=True
    )
    interrupts: Entries[Interrupt] = []
    steps: Annotated[list[Step] | None, FailFast()] = None

    def pending(self, interrupt_id: str) -> Interrupt | None:
        return next((interrupt for interrupt in self.interrupts if interrupt.id == interrupt_id), None)


class RunEvent(ServiceModel):
    """One event of a run's stream in AG-UI form, such as ``RUN_STARTED`` or ``STATE_SNAPSHOT``."""

    type: str
    run_id: str | None = None
    snapshot: Any = None


class Feedback(ServiceModel):
    """A recorded rating."""

    id: str
    run_id: str | None = None
    rating: str
    artifact_id: str | None = None
    comment: Text = None
    superseded_prior: bool | None = None
    created_at: Instant | None = None


class Thread(ServiceModel):
    """A conversation that contains runs."""

    id: str
    status: RunStatus | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None
    metadata: dict[str, Any] | None = None
    requester: dict[str, Any] | None = None
    steps: Annotated[list[Step] | None, FailFast()] = None


class Agent(ServiceModel):
    """An agent that the account may run. ``AgentRunOperator`` takes its ``type``."""

    id: str
    type: str
    name: Text = None
    description: Text = None
    created_at: Instant | None = None
    updated_at: Instant | None = None


class Page(ServiceModel, Generic[T]):
    """One page of a listing."""

    has_more: bool | None = False
    total_count: int | None = None
    data: Entries[T] = []
    #: When the service sent the page, by its own clock (the HTTP Date header, to the second).
    served_at: Annotated[pendulum.DateTime | None, PlainValidator(lambda _: None)] = Field(default=None, exclude=True)


RunPage = Page[AgentRun]
ThreadPage = Page[Thread]
AgentList = Page[Agent]
