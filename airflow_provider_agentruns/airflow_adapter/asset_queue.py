# SPDX-License-Identifier: Apache-2.0
"""
Seeing to it that the DAG run which asset events start gets all of them.

Airflow queues a DAG at the first event, and its scheduler then gives the DAG run all events up to the moment of that
entry. What came a moment later, while the entry was there already, would wait for the next event, for hours if need
be, and runs often end several at a time. So the entry is set to the moment of the last event.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from airflow.models.asset import AssetDagRunQueue, AssetEvent
from sqlalchemy import select, update
from sqlalchemy.orm import Session


def hold_queue(session: Session, asset_id: int) -> None:
    """
    Wait until no scheduler takes an asset's entries out, and let none do that until the transaction ends.

    SQLite has no such locks: there, a scheduler that is just taking one out may still leave the newest event behind.
    """
    entries = select(AssetDagRunQueue.target_dag_id).where(AssetDagRunQueue.asset_id == asset_id)
    session.execute(entries.order_by(AssetDagRunQueue.target_dag_id).with_for_update())


def let_queue_cover(session: Session, events: Collection[AssetEvent]) -> None:
    """Have the entries cover events that were registered in this transaction; just before it ends."""
    if not events:
        return
    moment = datetime.now(UTC)
    for event in events:
        # As others will see it: no DAG run can have been given events of this moment before it is there.
        event.timestamp = moment
    entries = update(AssetDagRunQueue).where(AssetDagRunQueue.asset_id.in_({event.asset_id for event in events}))
    session.execute(entries.values(created_at=moment).execution_options(synchronize_session=False))
