# SPDX-License-Identifier: Apache-2.0
"""
Decides which runs newly reached a status. The state of a tracker is a watcher's cursor. Without I/O.

The *horizon* is a creation time. Runs created at or before it need no event unless they are among the unfinished runs,
so the tracker keeps only unfinished runs and finished runs created after the horizon.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import BaseModel

from airflow_provider_agentruns.client.listing_walk import timestamp
from airflow_provider_agentruns.client.responses import ListedRun
from airflow_provider_agentruns.text import digest

log = logging.getLogger(__name__)

#: Runs that the listing shows at most this many seconds after their creation are reported.
MAX_LISTING_LAG = 600.0
#: The tracker keeps at most this many unfinished runs, and drops the oldest ones first.
MAX_UNFINISHED = 10_000

_MAX_INTERRUPTS = 50
#: IDs, statuses, and agent types that are longer must not reach Airflow's database.
_MAX_LENGTH = 255


class RunSnapshot(NamedTuple):
    run_id: str
    status: str
    agent: str | None
    #: The creation time by the service's clock, in seconds since 1970.
    created: float
    #: Digests of the IDs of the pending interrupts. A listing may omit them.
    interrupts: tuple[str, ...] = ()

    @classmethod
    def from_listed(cls, listed: ListedRun) -> RunSnapshot | None:
        """Return the snapshot of a run; None if its fields cannot be those of a run."""
        run_id, agent, created = listed["id"], listed.get("agent"), timestamp(listed.get("created_at"))
        names = (run_id, agent or "")
        if created is None or not all(len(name) <= _MAX_LENGTH and name.isprintable() for name in names):
            return None
        interrupts = tuple(_digest(entry["id"]) for entry in (listed.get("interrupts") or [])[:_MAX_INTERRUPTS])
        return cls(run_id, listed["status"][:_MAX_LENGTH], agent, created, interrupts)


class RunTracker(BaseModel):
    """Compares runs with their recorded states. Times are in seconds since 1970."""

    saved_at: float
    horizon: float = 0.0
    #: The unfinished runs by ID, with earlier interrupts. The run that was recorded last comes last.
    unfinished: dict[str, RunSnapshot] = {}
    #: The creation times of finished runs after the horizon, by a digest of the run ID.
    finished: dict[str, float] = {}

    def is_old(self, run: RunSnapshot) -> bool:
        return run.created <= self.horizon

    def knows(self, run: RunSnapshot) -> bool:
        """Return whether the run was recorded, or needs no event because it is old."""
        return run.run_id in self.unfinished or _digest(run.run_id) in self.finished or self.is_old(run)

    def has_changed(self, run: RunSnapshot) -> bool:
        known = self.unfinished.get(run.run_id)
        if known is None:
            return not self.knows(run)
        # If one of several interrupts is resolved, the rest are not new. A listing without interrupts says nothing.
        has_new_interrupt = bool(known.interrupts) and not set(run.interrupts).issubset(known.interrupts)
        return run.status != known.status or has_new_interrupt

    def record(self, runs: Iterable[RunSnapshot]) -> None:
        for run in runs:
            known = self.unfinished.pop(run.run_id, None)
            if run.status not in ("completed", "error"):
                earlier = [one for one in known.interrupts if one not in run.interrupts] if known else []
                self.unfinished[run.run_id] = run._replace(interrupts=(*earlier, *run.interrupts)[-_MAX_INTERRUPTS:])
            elif not self.is_old(run):
                self.finished[_digest(run.run_id)] = run.created

    def advance(self, newest: float) -> None:
        """Move the horizon after a poll that recorded all runs. The newest one was created at ``newest``."""
        self.horizon = max(self.horizon, newest - MAX_LISTING_LAG)
        self.finished = {run: created for run, created in self.finished.items() if created > self.horizon}
        oldest_first = sorted(self.unfinished, key=lambda run_id: self.unfinished[run_id].created)
        for run_id in oldest_first[:-MAX_UNFINISHED]:
            log.warning("Too many agent runs are unfinished; agent run %s gets no events", run_id)
            del self.unfinished[run_id]


def _digest(some_id: str) -> str:
    return digest(some_id)[:12]
