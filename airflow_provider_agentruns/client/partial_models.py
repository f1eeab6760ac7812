# SPDX-License-Identifier: Apache-2.0
"""The parts of runs and listings that pollers and pages need. Parsing skips what may be large."""

from __future__ import annotations

from typing import Annotated, Required

from pydantic import BaseModel, PrivateAttr

# pydantic cannot read the standard library's before Python 3.12.
from typing_extensions import TypedDict

from airflow_provider_agentruns.field_types import FIRST_ERROR_ONLY
from airflow_provider_agentruns.run_status import RunStatus


class _Interrupt(TypedDict):
    id: str


class ListedRun(TypedDict, total=False):
    id: Required[str]
    status: Required[str]
    agent: str | None
    created_at: str | None
    interrupts: Annotated[list[_Interrupt] | None, FIRST_ERROR_ONLY]


class ListedPage(BaseModel):
    has_more: bool = False
    total_count: int | None = None
    data: Annotated[list[ListedRun], FIRST_ERROR_ONLY] = []
    _left_out: int = PrivateAttr(default=0)

    @property
    def left_out(self) -> int:
        """The number of entries that could not be parsed."""
        return self._left_out

    def leave_out(self, entries: int = 1) -> None:
        self._left_out += entries


class _StreamedRun(TypedDict, total=False):
    status: str


class RunHint(BaseModel):
    """The part of a stream's event that shows whether the run may have changed."""

    type: str
    snapshot: _StreamedRun | None = None

    @property
    def worth_a_look(self) -> bool:
        """Whether the run may have left the status ``running``."""
        if self.type == "RUN_STARTED":
            return False
        return not (self.snapshot and self.snapshot.get("status") == RunStatus.RUNNING) or self.type.startswith("RUN_")
