# SPDX-License-Identifier: Apache-2.0
"""
What one watcher has told of, so that no restart makes it tell of a run twice, or of none. Free of I/O.

There is a *horizon*: each run that was created at or before it and is not among the open ones is settled, whatever
it may be by now. So only the open runs have to be remembered, and those that were created after the horizon.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import ListedRun

#: How long after its creation a run may appear in the listing, in seconds, and still be told of.
OVERLAP = 600.0

#: What the feed calls a run that the service no longer knows.
GONE = "gone"

_FINISHED = ("completed", "error", GONE)

_VERSION = 1

#: As many of the interrupts that a run has had are remembered, each by a digest of so many characters.
_MOST_ASKED = 50
_DIGEST = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """
    A run as it was seen.

    :param created: When it was created, in seconds since 1970 by the service's clock; None where that is not told.
    :param asked: The ids of the interrupts that it waits with.
    """

    run_id: str
    status: str
    agent: str | None = None
    created: float | None = None
    asked: tuple[str, ...] = ()

    @classmethod
    def of(cls, listed: ListedRun, run_id: str = "") -> Seen:
        """
        Read it out of what the service has sent.

        :param run_id: The run's id, where it was asked for by that.
        """
        return cls(
            run_id or listed["id"],
            listed["status"],
            listed.get("agent"),
            _seconds(listed.get("created_at")),
            tuple(interrupt["id"] for interrupt in listed.get("interrupts") or ()),
        )

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in _FINISHED


@dataclass(slots=True)
class _Open:
    """
    An open run.

    :param created: When it was created, rounded up: it must not count as settled too early.
    :param asked: Short digests of the interrupts that it has had, one after the other.
    """

    status: str
    created: int
    asked: str


class Cursor:
    """
    Says of which runs a watcher has to tell.

    Begin a new one with :meth:`begin`. From then on until :meth:`passed` says that the whole listing has been read,
    it gets to know what there is, and none of that is news.

    :param statuses: Those that are told of.
    :param agent: Whose runs; None for all.
    """

    def __init__(self, statuses: Iterable[str], agent: str | None = None) -> None:
        self._statuses = frozenset(statuses)
        self._agent = agent
        #: None until :meth:`begin`.
        self.horizon: int | None = None
        #: What was there at this moment is no news; None once all of it is known.
        self.begun: float | None = None
        #: Grows with each change.
        self.revision = 0
        self._open: dict[str, _Open] = {}
        # By a digest of the id: nobody has to ask for them again.
        self._ended: dict[str, int] = {}

    @property
    def open_runs(self) -> Iterator[tuple[str, float]]:
        """The ids of the runs that something may still come of, and when each was created."""
        return ((run_id, float(run.created)) for run_id, run in self._open.items())

    @property
    def complete(self) -> bool:
        """Whether it knows all that there was when it began, so that another can go on with it."""
        return self.horizon is not None and self.begun is None

    def begin(self, moment: float) -> None:
        """Begin anew: what was created until a moment by the service's clock is no news as it is."""
        self.begun = moment
        self.horizon = math.floor(moment - OVERLAP)

    def is_news(self, seen: Seen) -> bool:
        """Say whether a run has newly come to one of the statuses."""
        if seen.status not in self._statuses or not self._is_about(seen):
            return False
        run = self._open.get(seen.run_id)
        if run is None:
            return not self._is_settled(seen)
        if seen.status != run.status:
            return True
        # It was answered and has asked again between two looks. That one of several was answered is no news.
        return bool(run.asked) and not _digests(run.asked).issuperset(map(_digest, seen.asked))

    def note(self, seen: Seen) -> None:
        """Take note of a run; of what is news, once it has been told."""
        if not self._is_about(seen) or seen.created is None or self.horizon is None:
            return
        run = self._open.get(seen.run_id)
        if run is None and not self._is_to_be_known(seen):
            return
        if seen.finished:
            self._open.pop(seen.run_id, None)
            if seen.created > self.horizon:
                self._ended[_digest(seen.run_id)] = math.ceil(seen.created)
            self.revision += 1
            return
        had = run.asked if run else ""
        more = [digest for digest in map(_digest, seen.asked) if digest not in _digests(had)]
        now = _Open(seen.status, math.ceil(seen.created), (had + "".join(more))[-_MOST_ASKED * _DIGEST :])
        if now != run:
            self._open[seen.run_id] = now
            self.revision += 1

    def has_to_wait(self, seen: Seen) -> bool:
        """Whether a run has changed since :meth:`begin`. It is to be noted once all is known that was there then."""
        if self.begun is None:
            return False
        return (seen.created or 0.0) > self.begun or self.is_news(seen)

    def passed(self, horizon: int) -> bool:
        """
        Take note that all that was created after the old horizon has been seen, and move it.

        :return: Whether all that was there at :meth:`begin` is known only now.
        """
        first = self.begun is not None
        if first:
            self.begun = None
            self.revision += 1
        if self.horizon is not None and horizon > self.horizon:
            self.horizon = horizon
            self._ended = {key: created for key, created in self._ended.items() if created > horizon}
            self.revision += 1
        return first

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, which :meth:`read` takes."""
        return {
            "version": _VERSION,
            "horizon": self.horizon,
            "open": {
                run_id: [run.status, run.created, *([run.asked] if run.asked else [])]
                for run_id, run in self._open.items()
            },
            "ended": dict(self._ended),
        }

    def read(self, stored: Any) -> None:
        """
        Go on where :meth:`to_json` was.

        :raises ValueError: If it is nothing that this version has written.
        """
        if not isinstance(stored, dict) or stored.get("version") != _VERSION:
            raise ValueError("it is not of this version")
        horizon, opened, ended = stored.get("horizon"), stored.get("open"), stored.get("ended")
        if not (_is_moment(horizon) and isinstance(opened, dict) and isinstance(ended, dict)):
            raise ValueError("parts of it are missing")
        if not all(map(_is_moment, ended.values())):
            raise ValueError("a moment in it is none")
        runs = {run_id: _read_open(entry) for run_id, entry in opened.items()}
        self.horizon, self._open, self._ended = horizon, runs, dict(ended)

    def _is_about(self, seen: Seen) -> bool:
        return self._agent is None or seen.agent == self._agent or seen.status == GONE

    def _is_settled(self, seen: Seen) -> bool:
        """Whether a run that is not among the open ones is told of no more."""
        before = self.horizon if self.begun is None else self.begun
        return before is None or seen.created is None or seen.created <= before or self._has_ended(seen)

    def _is_to_be_known(self, seen: Seen) -> bool:
        """Whether a run that is not among the open ones has to be remembered."""
        if seen.status == GONE or self._has_ended(seen):
            return False
        # At the beginning, the open ones are, however old they are.
        may_be_old = self.begun is not None and not seen.finished
        return may_be_old or (seen.created or 0.0) > (self.horizon or 0)

    def _has_ended(self, seen: Seen) -> bool:
        return _digest(seen.run_id) in self._ended


def _read_open(entry: Any) -> _Open:
    match entry:
        case [str(status), int(created)]:
            return _Open(status, created, "")
        case [str(status), int(created), str(asked)]:
            return _Open(status, created, asked)
    raise ValueError("an open run in it is none")


def _is_moment(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _digests(text: str) -> set[str]:
    return {text[index : index + _DIGEST] for index in range(0, len(text), _DIGEST)}


def _digest(some_id: str) -> str:
    return b64encode(blake2b(some_id.encode(errors="replace"), digest_size=6).digest()).decode()


def _seconds(text: str | None) -> float | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
