# SPDX-License-Identifier: Apache-2.0
"""
What the service sends, as pydantic models. Free of Airflow and of I/O.

The models are lenient on purpose: a wait of hours must not fail because a field that nobody reads came as
null. Fields that the service adds later are kept and given back by ``model_dump()``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Required

import pendulum
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    ModelWrapValidatorHandler,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

# pydantic cannot read the standard library's before Python 3.12.
from typing_extensions import TypedDict

log = logging.getLogger(__name__)


class RunStatus(StrEnum):
    """
    Status of a run.

    A status that this version does not know parses too: it becomes a member of its own, counts as not
    finished, and is warned about once in each process.
    """

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
        log.warning("The service sent the run status %.100r, which is new to us: taken as not finished", value)
        member = str.__new__(cls, value)
        member._name_ = value.upper()
        member._value_ = value
        # Known from now on, so that the warning comes once.
        cls._value2member_map_[value] = member
        return member


class Rating(StrEnum):
    """A person's verdict on an artifact."""

    POSITIVE = "POSITIVE"
    NEGATIVE = "NEGATIVE"


def _instant(value: object) -> pendulum.DateTime:
    if isinstance(value, pendulum.DateTime):
        return value
    if isinstance(value, str):
        # Its own error would quote the value, which may be anything.
        with suppress(ValueError, OverflowError):
            parsed = pendulum.parse(value, strict=True)
            if isinstance(parsed, pendulum.DateTime):
                return parsed
    raise ValueError("should be an ISO 8601 instant such as 2026-01-31T12:00:00Z")


#: A moment as a pendulum ``DateTime`` with its time zone; ISO 8601 in JSON.
Instant = Annotated[
    pendulum.DateTime,
    PlainValidator(_instant),
    PlainSerializer(lambda moment: moment.isoformat().replace("+00:00", "Z"), when_used="json"),
]


def _or_as_sent(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        return value


#: What only people read. Should the service send something else than text, it is kept as it came.
Text = Annotated[str | None, WrapValidator(_or_as_sent)]

_NullIsEmptyList = BeforeValidator(lambda value: [] if value is None else value)
#: All wrong entries of a list together would take some hundred times the memory of the answer that they are in.
_FIRST_WRONG = FailFast()
_NullIsFalse = BeforeValidator(lambda value: False if value is None else value)


class ServiceModel(BaseModel):
    """Base of all models: unknown fields are kept, and a repr shows no personal data."""

    model_config = ConfigDict(extra="allow")

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show what identifies the thing; its content may be personal data and does not belong in a log."""
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
    """Where a statement in an artifact comes from."""

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
    sources: Annotated[list[Source], _FIRST_WRONG, _NullIsEmptyList, WrapValidator(_or_as_sent)] = []


class Output(ServiceModel):
    """The envelope of a completed run's artifacts."""

    artifacts: Annotated[list[Artifact], _FIRST_WRONG, _NullIsEmptyList] = []


class Interrupt(ServiceModel):
    """
    A question to a person that a run waits with.

    The shape of ``value`` depends on the agent that asks. Usually it is an object with ``agent``, ``label``
    and ``artifacts``; an orchestrator's has ``type`` ``combined_proposal`` and ``proposals``.
    """

    id: str
    agent: str | None = None
    value: Any = None

    @property
    def label(self) -> str:
        """The question in the agent's words; those of its proposals, or the id, where it has none."""
        return _label(self.value) or f"interrupt {self.id}"


def _label(value: Any) -> str:
    """Return a value's label, or the labels of what it proposes; as deep as they lie, which the service decides."""
    labels, pending = [], [value]
    while pending:
        part = pending.pop()
        if not isinstance(part, dict):
            continue
        label = part.get("label")
        # In Python, a number may be too long to be written.
        if label and (isinstance(label, str) or (isinstance(label, int | float) and abs(label) < 10**15)):
            labels.append(str(label))
        elif isinstance(proposals := part.get("proposals"), list):
            pending.extend(reversed(proposals))
    return "; ".join(labels)


class Step(ServiceModel):
    """One step of a run; ``label`` is for people, ``steps`` are those inside it."""

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
    steps: Annotated[list[Step], _FIRST_WRONG, _NullIsEmptyList] = []
    result: Any = None
    artifacts: Annotated[list[Artifact], _FIRST_WRONG, _NullIsEmptyList] = []

    def walk(self) -> Iterator[Step]:
        """Yield this step and all inside it, outermost first."""
        pending = [self]
        while pending:
            step = pending.pop()
            yield step
            pending.extend(reversed(step.steps))


class AgentRun(ServiceModel):
    """
    One piece of an agent's work.

    ``output`` is there only once the run is completed, ``interrupts`` only while it is interrupted, and
    ``steps`` only where they were asked for.
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
    interrupts: Annotated[list[Interrupt], _FIRST_WRONG, _NullIsEmptyList] = []
    steps: Annotated[list[Step] | None, _FIRST_WRONG] = None

    _raw_output: dict[str, Any] | None = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _keep_raw_output(cls, data: Any, handler: ModelWrapValidatorHandler[AgentRun]) -> AgentRun:
        run = handler(data)
        if isinstance(data, dict):
            run._raw_output = data.get("output")
        return run

    @property
    def raw_output(self) -> dict[str, Any] | None:
        """The output as the service sent it: every field, in the order in which it came."""
        return self._raw_output

    def pending(self, interrupt_id: str) -> Interrupt | None:
        """Return the pending interrupt with that id, or None where it is not pending."""
        return next((interrupt for interrupt in self.interrupts if interrupt.id == interrupt_id), None)


class RunState(BaseModel):
    """As much of a run as a wait needs: the rest, which may be large, is skipped while the JSON is read."""

    status: RunStatus


class RunPage(ServiceModel):
    """
    One page of the listing of runs.

    ``served_at`` is when the service sent it, by the service's own clock (the HTTP Date header, to the second).
    """

    has_more: Annotated[bool, _NullIsFalse] = False
    total_count: int | None = None
    data: Annotated[list[AgentRun], _FIRST_WRONG, _NullIsEmptyList] = []

    _served_at: pendulum.DateTime | None = PrivateAttr(default=None)

    @property
    def served_at(self) -> pendulum.DateTime | None:
        """When the service sent it. Not a field: what the document may have under this name is something else."""
        return self._served_at

    @served_at.setter
    def served_at(self, moment: pendulum.DateTime | None) -> None:
        self._served_at = moment


class _Skipped(TypedDict):
    """Says that there is an object, and nothing of what is in it."""


class _Asked(TypedDict):
    id: str


class ListedRun(TypedDict, total=False):
    """
    As much of a run as a watch over many needs: what may be large is skipped while the JSON is read.

    ``output`` says only whether there is one.
    """

    id: Required[str]
    status: Required[str]
    agent: str | None
    created_at: str | None
    output: _Skipped | None
    interrupts: Annotated[list[_Asked] | None, _FIRST_WRONG]


class ListedRuns(BaseModel):
    """What the service sends as a page of the listing, as far as a watch over many runs needs it."""

    has_more: Annotated[bool, _NullIsFalse] = False
    total_count: int | None = None
    data: Annotated[list[ListedRun], _FIRST_WRONG, _NullIsEmptyList] = []


@dataclass(slots=True)
class ListedPage:
    """
    One page of the listing, for a watch over many runs.

    ``size`` is that of the answer in bytes, ``left_out`` says how many entries cannot be read, and ``served_at`` when
    the service sent it, in seconds since 1970 by its own clock.
    """

    has_more: bool = False
    total_count: int | None = None
    data: list[ListedRun] = field(default_factory=list)
    size: int = 0
    left_out: int = 0
    served_at: float | None = None


class RunEvent(ServiceModel):
    """One event of a run's stream, in AG-UI form: ``RUN_STARTED``, ``STATE_SNAPSHOT``, ``RUN_FINISHED``, ..."""

    type: str
    run_id: str | None = None
    snapshot: Any = None


class _StreamedState(TypedDict, total=False):
    status: str


class RunHint(BaseModel):
    """As much of an event of a run's stream as a watch needs: whether it is worth looking at the run."""

    type: str
    snapshot: _StreamedState | None = None

    @property
    def worth_a_look(self) -> bool:
        """Whether the run may be anything else than at work. The start and what is said at work are no news."""
        if self.type == "RUN_STARTED":
            return False
        return not (self.snapshot and self.snapshot.get("status") == RunStatus.RUNNING) or self.type.startswith("RUN_")


class Feedback(ServiceModel):
    """A rating as the service recorded it."""

    id: str
    run_id: str | None = None
    rating: str
    artifact_id: str | None = None
    comment: Text = None
    superseded_prior: bool | None = None
    created_at: Instant | None = None


class Thread(ServiceModel):
    """A conversation that runs take place in."""

    id: str
    status: RunStatus | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None
    metadata: dict[str, Any] | None = None
    requester: dict[str, Any] | None = None
    steps: Annotated[list[Step] | None, _FIRST_WRONG] = None


class ThreadPage(ServiceModel):
    """One page of the listing of threads."""

    has_more: Annotated[bool, _NullIsFalse] = False
    data: Annotated[list[Thread], _FIRST_WRONG, _NullIsEmptyList] = []


class Agent(ServiceModel):
    """An agent that the account may run; ``type`` is what starts it."""

    id: str
    type: str
    name: Text = None
    description: Text = None
    created_at: Instant | None = None
    updated_at: Instant | None = None
