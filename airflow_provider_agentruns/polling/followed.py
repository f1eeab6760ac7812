# SPDX-License-Identifier: Apache-2.0
"""A run that is waited for, and who waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import ListedRun, RunStatus

#: How what became of a wait is told: ``{"status"}``, or ``{"error", "message"}``.
Verdict = dict[str, str]

#: Logs a message: its level, the message, its arguments, and by name what is to be found without reading the message.
Tell = Callable[..., Any]

#: Is told of a look: what it showed, when it was asked for, and whether that is all there is to be seen of the run.
Observe = Callable[["ListedRun", float, bool], None]


class Waiter:
    """
    One who waits for a run. All moments are those of ``time.monotonic()``.

    :param wait_for: The awaited statuses. The end of the run is awaited always.
    :param interval: The longest time that a change may go unnoticed, in seconds.
    :param settle: Is told what became of the wait; called once at the most.
    :param joined: When the wait began. What was asked for earlier may be older than what the waiter knows.
    :param end: When the wait ends; None for never.
    :param missing_until: Until when a run that the service does not know counts as not there yet.
    :param stream: Whether to follow the run's events, too, since latency counts.
    :param seen: The status that the waiter knows of, and has logged.
    :param tell: Logs where the waiter's other messages are.
    :param observe: For one who does not wait for a status, but wants to be told of each look. It leaves by itself
        when it has seen enough, and is in no hurry: none of its looks is taken sooner than it has to be.
    """

    __slots__ = (
        "end",
        "interval",
        "joined",
        "missing_until",
        "observe",
        "refused",
        "seen",
        "settle",
        "stream",
        "tell",
        "wait_for",
    )

    def __init__(
        self,
        wait_for: frozenset[str],
        interval: float,
        settle: Callable[[Verdict], None],
        *,
        joined: float,
        end: float | None = None,
        missing_until: float | None = None,
        stream: bool = False,
        seen: str | None = None,
        tell: Tell,
        observe: Observe | None = None,
    ) -> None:
        self.wait_for = wait_for
        self.interval = interval
        self.settle = settle
        self.joined = joined
        self.end = end
        self.missing_until = missing_until
        self.stream = stream
        self.seen = seen
        self.tell = tell
        self.observe = observe
        #: Whether the service has refused the token since this waiter's last good look.
        self.refused = False


class Followed:
    """
    A run that one or more wait for, and when and where to look at it next.

    ``due`` is when it has to be looked at, ``wish`` when it would be good to, if that costs little.
    """

    __slots__ = (
        "alone",
        "asked",
        "busy",
        "due",
        "failures",
        "hinted",
        "interval",
        "misses",
        "observed",
        "place",
        "quick",
        "run_id",
        "since",
        "status",
        "told",
        "unlisted",
        "waiters",
        "wish",
    )

    def __init__(self, run_id: str, now: float) -> None:
        self.run_id = run_id
        self.waiters: list[Waiter] = []
        self.interval = 0.0
        #: Whether some want to be told of each look, and whether some want it sooner than it has to be.
        self.observed = False
        self.quick = False
        self.status: RunStatus | None = None
        #: When it began to be followed, or was last seen to change.
        self.since = now
        #: When the last good look at it was asked for.
        self.asked = now
        self.due = now
        self.wish = now
        #: Where in the listing it was last seen; see :class:`~.places.Places`.
        self.place: int | None = None
        #: Whether the listing does not show it in reasonable time.
        self.unlisted = False
        #: Whether it has to be asked for itself, since the listing does not show enough of it.
        self.alone = False
        #: How often in a row it was not where it was expected.
        self.misses = 0
        #: How many looks at it have failed in a row.
        self.failures = 0
        #: Whether its waiters have been told why nothing comes.
        self.told = False
        #: Whether a stream says that it is to be looked at now.
        self.hinted = False
        #: Whether it is being looked at, so that nobody else need.
        self.busy = False

    def add(self, waiter: Waiter) -> None:
        """Let one more wait for it."""
        self.waiters.append(waiter)
        self.settle_interval()
        if waiter.observe is None:
            self.since = waiter.joined

    def remove(self, waiter: Waiter) -> None:
        """Let one no longer wait for it."""
        self.waiters.remove(waiter)
        self.settle_interval()

    @property
    def next_end(self) -> float | None:
        """When the first of its waits ends; never, where it is None."""
        if len(self.waiters) == 1:
            # As it mostly is; this is asked for after each look.
            return self.waiters[0].end
        return min((waiter.end for waiter in self.waiters if waiter.end is not None), default=None)

    def settle_interval(self) -> None:
        """Go by what those want who wait for it now."""
        if len(self.waiters) == 1:
            self.interval = self.waiters[0].interval
            self.observed = self.waiters[0].observe is not None
            self.quick = not self.observed
            return
        self.interval = min((waiter.interval for waiter in self.waiters), default=self.interval)
        self.observed = any(waiter.observe is not None for waiter in self.waiters)
        self.quick = any(waiter.observe is None for waiter in self.waiters)
