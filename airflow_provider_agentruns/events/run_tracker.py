# SPDX-License-Identifier: Apache-2.0
"""
Decides which runs newly reached a status, and serializes what it knows as a watcher's cursor. Pure: no I/O.

The *horizon* is a creation time. Runs created at or before it are settled unless they are among the unfinished runs.
The tracker therefore remembers only unfinished runs and runs that were created after the horizon.
"""

from __future__ import annotations

import math
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_agentruns.client.partial_models import ListedRun

#: A run may appear in the listing this many seconds after its creation and is still reported.
MAX_LISTING_LAG = 600.0

#: The tracker remembers at most this many unfinished runs, and forgets the oldest ones first.
MAX_UNFINISHED = 10_000

_FINISHED = ("completed", "error")
_VERSION = 1

# Each interrupt that a run had is remembered by a digest. These are the number of digests per run and their length.
_MAX_INTERRUPTS = 50
_DIGEST_LENGTH = 8

# No ID, status, or agent type of the service is nearly as long. A longer one must not reach Airflow's database.
_MAX_LENGTH = 255


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """
    A run as the service returned it.

    :param created: The creation time by the service's clock, in seconds since 1970; None if the service omits it.
    :param interrupts: The IDs of the pending interrupts. A listing may omit them.
    """

    run_id: str
    status: str
    agent: str | None = None
    created: float | None = None
    interrupts: tuple[str, ...] = ()

    @classmethod
    def from_listed(cls, listed: ListedRun) -> RunSnapshot | None:
        """Return the snapshot of a run; None if its fields cannot be those of a run."""
        agent = listed.get("agent")
        if not all(len(text) <= _MAX_LENGTH and text.isprintable() for text in (listed["id"], agent or "")):
            return None
        interrupts = tuple(interrupt["id"] for interrupt in listed.get("interrupts") or ())
        return cls(
            listed["id"], listed["status"][:_MAX_LENGTH], agent, _timestamp(listed.get("created_at")), interrupts
        )

    @property
    def finished(self) -> bool:
        """Whether the run can no longer change."""
        return self.status in _FINISHED


@dataclass(slots=True)
class _Unfinished:
    """
    An unfinished run.

    :param created: The creation time, rounded up so that the run does not count as settled too early.
    :param digests: The digests of the interrupts that the run has had, concatenated.
    """

    status: str
    created: int
    digests: str = ""


class RunTracker:
    """
    Compares runs with what is known of them. ``has_changed`` only asks; ``record`` takes a run in.

    A new tracker knows nothing. Call :meth:`load` with a cursor, or :meth:`start` and then :meth:`record` for each run
    that exists.
    """

    def __init__(self) -> None:
        #: None before :meth:`load` or :meth:`start`.
        self.horizon: float | None = None
        self._unfinished: dict[str, _Unfinished] = {}
        # The creation times of finished runs after the horizon, by a digest of the run ID.
        self._finished: dict[str, int] = {}

    @property
    def unfinished(self) -> dict[str, int]:
        """The creation time of each unfinished run, by its ID."""
        return {run_id: run.created for run_id, run in self._unfinished.items()}

    def is_unfinished(self, run: RunSnapshot) -> bool:
        """Whether the run is known and was unfinished."""
        return run.run_id in self._unfinished

    def start(self) -> None:
        """Start without a cursor. Runs count as new from now on unless they are recorded or the horizon advances."""
        self.horizon = 0.0

    def knows(self, run: RunSnapshot) -> bool:
        """Whether the run was seen before, or needs no event because it was created before the horizon."""
        return (
            run.run_id in self._unfinished
            or _digest(run.run_id) in self._finished
            or run.created is None
            or self.is_old(run)
        )

    def is_old(self, run: RunSnapshot) -> bool:
        """Whether the run was created at or before the horizon, so that older runs need not be read."""
        return run.created is not None and self.horizon is not None and run.created <= self.horizon

    def has_changed(self, run: RunSnapshot) -> bool:
        """Whether the run is new, or newly has this status, or waits with other interrupts than before."""
        known = self._unfinished.get(run.run_id)
        if known is None:
            return not self.knows(run)
        if run.status != known.status:
            return True
        # If one of several interrupts is resolved, the rest are not new. A listing without interrupts says nothing.
        return bool(known.digests) and not _split(known.digests).issuperset(map(_digest, run.interrupts))

    def record(self, run: RunSnapshot) -> None:
        """Remember the run's state. Call it after its event is stored."""
        known = self._unfinished.get(run.run_id)
        created = math.ceil(run.created) if run.created is not None else known.created if known else 0
        if run.finished:
            self._unfinished.pop(run.run_id, None)
            if created > (self.horizon or 0):
                self._finished[_digest(run.run_id)] = created
            return
        digests = known.digests if known else ""
        had = _split(digests)
        digests += "".join(digest for digest in map(_digest, run.interrupts) if digest not in had)
        self._unfinished[run.run_id] = _Unfinished(run.status, created, digests[-_MAX_INTERRUPTS * _DIGEST_LENGTH :])

    def forget(self, run_id: str) -> None:
        """Forget an unfinished run that the service no longer knows."""
        self._unfinished.pop(run_id, None)

    def advance(self, moment: float) -> int:
        """
        Move the horizon, because all runs that were created after it have been seen.

        :param moment: The creation time of the newest run.
        :return: The number of unfinished runs that were forgotten because there are too many.
        """
        self.horizon = max(self.horizon or 0.0, moment - MAX_LISTING_LAG)
        self._finished = {digest: created for digest, created in self._finished.items() if created > self.horizon}
        excess = len(self._unfinished) - MAX_UNFINISHED
        if excess > 0:
            for run_id in sorted(self._unfinished, key=lambda run_id: self._unfinished[run_id].created)[:excess]:
                del self._unfinished[run_id]
        return max(0, excess)

    def to_json(self) -> dict[str, Any]:
        """Return the cursor as a JSON value."""
        runs = {
            run_id: [run.status, run.created, *([run.digests] if run.digests else [])]
            for run_id, run in self._unfinished.items()
        }
        horizon = None if self.horizon is None else math.floor(self.horizon)
        return {"version": _VERSION, "horizon": horizon, "open": runs, "ended": dict(self._finished)}

    def load(self, cursor: Any) -> None:
        """
        Continue from a cursor.

        :param cursor: What :meth:`to_json` returned.
        :raises ValueError: If it is something else.
        """
        try:
            if cursor["version"] != _VERSION:
                raise ValueError("another version of this package wrote it")
            horizon = float(cursor["horizon"])
            finished = {str(digest): int(created) for digest, created in cursor["ended"].items()}
            unfinished = {
                str(run_id): _Unfinished(str(status), int(created), *map(str, digests))
                for run_id, (status, created, *digests) in cursor["open"].items()
            }
        except (AttributeError, KeyError, TypeError) as e:
            raise ValueError(f"it has another structure ({type(e).__name__})") from None
        self.horizon, self._finished, self._unfinished = horizon, finished, unfinished


def _split(digests: str) -> set[str]:
    return {digests[index : index + _DIGEST_LENGTH] for index in range(0, len(digests), _DIGEST_LENGTH)}


def _digest(some_id: str) -> str:
    return b64encode(blake2b(some_id.encode(errors="replace"), digest_size=6).digest()).decode()


def _timestamp(text: str | None) -> float | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() if moment else None
    except (ValueError, OverflowError):
        return None
