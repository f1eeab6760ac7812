# SPDX-License-Identifier: Apache-2.0
"""The status of a run, known or unknown. Users import it from ``models``."""

from __future__ import annotations

import logging
from enum import StrEnum

from airflow_provider_agentruns.text import single_line

log = logging.getLogger(__name__)

_warned_of: set[str] = set()


class RunStatus(StrEnum):
    """
    The status of a run.

    An unknown status counts as not finished, is shortened to 64 printable characters, and is logged once as a warning.
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
        # Not stored in the class: a service that invents statuses must not exhaust the memory.
        member = str.__new__(cls, single_line(value, 64))
        member._name_ = member._value_ = str(member)
        if member not in _warned_of and len(_warned_of) < 20:
            _warned_of.add(member._value_)
            log.warning("The service returned the unknown run status %r, which counts as not finished", member._value_)
        return member
