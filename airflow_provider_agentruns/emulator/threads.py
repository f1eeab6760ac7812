# SPDX-License-Identifier: Apache-2.0
"""Threads: the conversations that runs take place in."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_agentruns.emulator.ids import Ids, timestamp
from airflow_provider_agentruns.emulator.problems import NotFound
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.scripts import Context, Json


@dataclass(slots=True)
class Thread:
    """One thread. Its status is that of its newest run."""

    id: str
    agent: str
    context: Context
    requester: Json
    created_at: datetime
    runs: list[Run] = field(default_factory=list, repr=False)

    @property
    def newest(self) -> Run | None:
        """The run that was created last in it."""
        return self.runs[-1] if self.runs else None

    def as_json(self, *, steps: bool = False) -> Json:
        """
        Show the thread as the service does.

        :param steps: Whether to show the steps of its newest run too.
        """
        newest = self.newest
        shown: Json = {
            "object": "thread",
            "id": self.id,
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(newest.updated_at if newest else self.created_at),
            # Nothing has run in a new thread yet, and the contract knows no status for that.
            "status": newest.status if newest else "completed",
            "metadata": {"type": self.agent, "context_type": self.context.type, "context_id": self.context.id},
            "requester": self.requester,
        }
        if steps:
            shown["steps"] = newest.as_json(steps=True)["steps"] if newest else []
        return shown


class Threads:
    """All threads."""

    def __init__(self, ids: Ids, requester: Json) -> None:
        self._ids = ids
        self._requester = requester
        self._by_id: dict[str, Thread] = {}
        self._by_age: list[Thread] = []
        self._by_business: dict[str, list[Thread]] = defaultdict(list)

    def create(self, agent: str, context: Context, now: datetime) -> Thread:
        """Open a thread; ``now`` may be in the past, for a test."""
        thread = Thread(self._ids.uuid("thread", len(self._by_id)), agent, context, self._requester, now)
        self._by_id[thread.id] = thread
        insort(self._by_age, thread, key=_age)
        if context.type == "business" and context.id is not None:
            insort(self._by_business[context.id], thread, key=_age)
        return thread

    def get(self, thread_id: str) -> Thread:
        """
        Look a thread up.

        :raises NotFound: If there is none with that id.
        """
        try:
            return self._by_id[thread_id.lower()]
        except KeyError:
            raise NotFound(f"There is no thread {thread_id}", "thread_id") from None

    def of(self, business_id: str | None) -> Sequence[Thread]:
        """Give the threads of a business, or of all, oldest first."""
        return self._by_age if business_id is None else self._by_business.get(business_id, [])


def _age(thread: Thread) -> datetime:
    return thread.created_at
