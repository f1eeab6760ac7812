# SPDX-License-Identifier: Apache-2.0
"""The parts of runs and listings that pollers and pages need. What may be large is skipped during parsing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Required

from pydantic import BaseModel

# pydantic cannot read the standard library's before Python 3.12.
from typing_extensions import TypedDict

from airflow_provider_agentruns.field_types import FIRST_ERROR_ONLY, NullIsEmptyList, NullIsFalse
from airflow_provider_agentruns.run_status import RunStatus


class RunState(BaseModel):
    """The part of a run that a wait needs. The rest, which may be large, is skipped during parsing."""

    status: RunStatus


class _Skipped(TypedDict):
    """An object whose content is skipped."""


class _Asked(TypedDict):
    id: str


class ListedRun(TypedDict, total=False):
    """
    The part of a run that a poller of many runs needs. What may be large is skipped during parsing.

    ``output`` shows only whether the run has one.
    """

    id: Required[str]
    status: Required[str]
    agent: str | None
    created_at: str | None
    output: _Skipped | None
    interrupts: Annotated[list[_Asked] | None, FIRST_ERROR_ONLY]


class ListedRuns(BaseModel):
    """The part of a page of the listing that a poller needs."""

    has_more: Annotated[bool, NullIsFalse] = False
    total_count: int | None = None
    data: Annotated[list[ListedRun], FIRST_ERROR_ONLY, NullIsEmptyList] = []


class ListedStatus(TypedDict, total=False):
    """The fields of a listed run that a wait needs."""

    id: Required[str]
    status: Required[str]
    created_at: str | None


class ListedStatuses(BaseModel):
    """The fields of a listing's page that waits need."""

    has_more: Annotated[bool, NullIsFalse] = False
    total_count: int | None = None
    data: Annotated[list[ListedStatus], FIRST_ERROR_ONLY, NullIsEmptyList] = []


@dataclass(slots=True)
class ListedPage:
    """
    One page of the listing, for a poller.

    :param size: Bytes of the response.
    :param left_out: How many entries could not be parsed.
    :param served_at: When the service sent the page, in seconds since 1970 by the service's clock.
    """

    has_more: bool = False
    total_count: int | None = None
    data: list[ListedRun] = field(default_factory=list)
    size: int = 0
    left_out: int = 0
    served_at: float | None = None


class _StreamedState(TypedDict, total=False):
    status: str


class RunHint(BaseModel):
    """The part of a stream's event that shows whether the run may have changed."""

    type: str
    snapshot: _StreamedState | None = None

    @property
    def worth_a_look(self) -> bool:
        """Whether the run may have left the status ``running``."""
        if self.type == "RUN_STARTED":
            return False
        return not (self.snapshot and self.snapshot.get("status") == RunStatus.RUNNING) or self.type.startswith("RUN_")
