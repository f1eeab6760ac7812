# SPDX-License-Identifier: Apache-2.0
"""
Learns from Airflow 3.3 and newer when an event is stored, so that the cursor is saved only afterwards.

It uses Airflow's shared streams (``airflow/triggers/shared_stream.py``, read in Airflow 3.3.2), with one stream per
trigger, because a late subscriber receives no earlier batch, and the producer cannot access a subscriber's cursor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from airflow_provider_agentruns.events.cursor_store import CursorStore
from airflow_provider_agentruns.events.run_tracker import RunSnapshot


@dataclass
class Batch:
    """What the stream passes to its only subscriber: runs to report. The first batch has none."""

    runs: Sequence[RunSnapshot] = ()
    #: Whether the subscriber has yielded the events of all runs.
    reported: bool = False
    #: The watcher's cursor store. The subscriber sets it, because only a trigger can access the store.
    store: CursorStore = field(init=False)
    stored: asyncio.Event = field(default_factory=asyncio.Event)


class StoredEventProducer(SharedStreamProducer):
    """Polls for one trigger. It yields a batch only after the events of the previous one are stored."""

    def __init__(self, watch: Callable[[CursorStore], AsyncGenerator[list[RunSnapshot], None]]) -> None:
        self._watch = watch

    async def open_stream(self) -> AsyncIterator[tuple[Batch, Batch]]:
        """Yield each batch twice: for the subscriber, and for :meth:`advance`."""
        first = Batch()
        yield first, first
        await first.stored.wait()
        async with aclosing(self._watch(first.store)) as changes:
            async for runs in changes:
                batch = Batch(runs)
                yield batch, batch
                # If this takes too long, Airflow fails the subscriber and this stream.
                await batch.stored.wait()

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        for item in batch:
            # If a trigger is stopped during a batch, only a part of its events is stored.
            if item.outcome.is_clean and item.broker_payload.reported:
                item.broker_payload.stored.set()
