# SPDX-License-Identifier: Apache-2.0
"""
Learns from Airflow when the events of a batch are stored, so that the cursor is saved only then. Airflow 3.3 and newer.

It uses the acknowledgement of Airflow's shared streams (``airflow/triggers/shared_stream.py``, read in Airflow 3.3.2),
with one stream per trigger. Watchers of a connection cannot share a stream without missing runs:

- A subscriber receives only what is broadcast after it has joined, and nothing is replayed. A watcher that is added,
  edited, resumed, or restarted while another keeps the stream running would miss what happened since its cursor.
- ``create_shared_stream_producer`` receives the arguments of one trigger and no ``asset_state_store``, so that the
  shared poll cannot know how far back each subscriber has to read, nor save what each has reported.
- ``AdvanceOutcome`` counts the subscribers that stored an event and does not name them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from airflow_provider_agentruns.events.cursor_store import CursorStore
from airflow_provider_agentruns.events.run_event_poller import changed_runs
from airflow_provider_agentruns.events.run_tracker import RunSnapshot


@dataclass
class Batch:
    """
    What the stream passes to its only subscriber, which sets the other fields.

    :param runs: The runs that changed; empty in the first batch.
    :param reported: Whether the subscriber has yielded the events of all runs.
    :param store: The watcher's cursor store. Only the subscriber can reach it.
    """

    runs: Sequence[RunSnapshot] = ()
    reported: bool = False
    store: CursorStore = field(init=False)
    stored: asyncio.Event = field(default_factory=asyncio.Event)


class StoredEventProducer(SharedStreamProducer):
    """
    Polls for one trigger. It yields a batch only after the events of the previous one are stored.

    :param conn_id: The Airflow connection ID.
    :param interval: The number of seconds between two polls.
    """

    def __init__(self, conn_id: str, interval: float) -> None:
        self._conn_id = conn_id
        self._interval = interval
        self._changes: AsyncGenerator[list[RunSnapshot], None] | None = None

    async def open_stream(self) -> AsyncIterator[tuple[Batch, Batch]]:
        """Yield each batch twice: for the subscriber, and for :meth:`advance`."""
        first = Batch()
        yield first, first
        await first.stored.wait()
        self._changes = changed_runs(self._conn_id, self._interval, first.store)
        async for runs in self._changes:
            batch = Batch(runs)
            yield batch, batch
            # Airflow fails the subscriber, and with it this stream, if that takes too long.
            await batch.stored.wait()

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Note that the events of batches are stored."""
        for item in batch:
            # A trigger that is stopped amid a batch has stored a part of its events.
            if item.outcome.is_clean and item.broker_payload.reported:
                item.broker_payload.stored.set()

    async def aclose(self) -> None:
        """Close the connections to the service."""
        if self._changes is not None:
            await self._changes.aclose()
