# SPDX-License-Identifier: Apache-2.0
"""
Creates asset events in Airflow's database, at most one per asset and key.

A key is a row of the asset's state store, written in the same transaction as the event. If several processes write the
same key, its primary key lets one of them succeed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.assets.manager import asset_manager
from airflow.models.asset import AssetActive, AssetDagRunQueue, AssetEvent, AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.serialization.definitions.assets import SerializedAssetUniqueKey
from airflow.utils.retries import run_with_db_retries
from airflow.utils.session import create_session
from airflow.utils.sqlalchemy import get_dialect_name
from sqlalchemy import Insert, delete, insert, select, update
from sqlalchemy.orm import Session


@dataclass(frozen=True)
class NewAssetEvent:
    """
    An event for some assets.

    :param uris: The URIs of the assets, which are also their names. Assets that no DAG uses get no event.
    :param key: An asset has at most one event per key.
    :param source: Where the event comes from, for people who look into the state store.
    """

    uris: tuple[str, ...]
    key: str
    payload: dict[str, Any]
    source: str


def create_asset_events(events: Sequence[NewAssetEvent]) -> int:
    """
    Create all events in one transaction, except those whose key exists.

    :return: The number of asset events that were created.
    """
    for attempt in run_with_db_retries():
        with attempt:
            callbacks: list[Callable[[], None]] = []
            with create_session() as session:
                created = _create(session, events, callbacks)
            # Listeners are called after the commit.
            for callback in callbacks:
                callback()
    return created


def delete_keys(uri_prefix: str, key_prefix: str, age: timedelta) -> int:
    """Delete old keys of the assets whose URIs have a prefix, and return their number."""
    assets = select(AssetModel.id).where(AssetModel.uri.startswith(uri_prefix, autoescape=True))
    old = delete(AssetStateStoreModel).where(
        AssetStateStoreModel.asset_id.in_(assets.scalar_subquery()),
        AssetStateStoreModel.key.startswith(key_prefix, autoescape=True),
        AssetStateStoreModel.updated_at < datetime.now(UTC) - age,
    )
    with create_session() as session:
        return int(session.execute(old.execution_options(synchronize_session=False)).rowcount)  # type: ignore[attr-defined]


def _create(session: Session, events: Sequence[NewAssetEvent], callbacks: list[Callable[[], None]]) -> int:
    created: list[AssetEvent] = []
    # All processes lock assets in the same order, so that no two wait for each other.
    assets = session.execute(
        select(AssetModel.id, AssetModel.uri)
        .join(AssetActive, (AssetActive.name == AssetModel.name) & (AssetActive.uri == AssetModel.uri))
        .where(AssetModel.uri.in_({uri for event in events for uri in event.uris}), AssetModel.name == AssetModel.uri)
        .order_by(AssetModel.id)
    ).all()
    for asset in assets:
        session.execute(select(AssetModel.id).where(AssetModel.id == asset.id).with_for_update(key_share=True))
        new = [event for event in events if asset.uri in event.uris and _insert_key(session, asset.id, event)]
        if new:
            _lock_queue(session, asset.id)
        for one in new:
            event = asset_manager.register_asset_change(
                asset=SerializedAssetUniqueKey(asset.uri, asset.uri),
                extra={"from_webhook": True, "payload": one.payload},
                session=session,
                callback_sink=callbacks,
            )
            if event is not None:
                created.append(event)
    _extend_queue(session, created)
    return len(created)


def _insert_key(session: Session, asset_id: int, event: NewAssetEvent) -> bool:
    """Return whether the asset did not have the key."""
    row = _insert_or_ignore(session).values(
        asset_id=asset_id, key=event.key, value=json.dumps({"event": event.source}), last_updated_by_kind="api"
    )
    return bool(session.execute(row).rowcount)  # type: ignore[attr-defined]


def _insert_or_ignore(session: Session) -> Insert:
    dialect = get_dialect_name(session)
    if dialect == "mysql":
        return insert(AssetStateStoreModel).prefix_with("IGNORE")
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(AssetStateStoreModel).on_conflict_do_nothing()
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(AssetStateStoreModel).on_conflict_do_nothing()


# Airflow queues a DAG at its first event. The scheduler then gives the DAG run all events until that moment, and
# removes the entry from the queue (`SchedulerJobRunner._create_dag_runs_asset_triggered`). An event that arrives
# between the two would wait for the next event. Therefore the entry's time is set to that of the newest event.


def _lock_queue(session: Session, asset_id: int) -> None:
    """
    Keep schedulers from removing the asset's entries until the transaction ends.

    SQLite has no such locks. A scheduler that is just removing an entry may leave the newest event for the next one.
    """
    entries = select(AssetDagRunQueue.target_dag_id).where(AssetDagRunQueue.asset_id == asset_id)
    session.execute(entries.order_by(AssetDagRunQueue.target_dag_id).with_for_update())


def _extend_queue(session: Session, events: Collection[AssetEvent]) -> None:
    """Make the entries cover the events of this transaction. Call it last."""
    if not events:
        return
    moment = datetime.now(UTC)
    for event in events:
        # The time of the commit: no DAG run can have received events of this moment before.
        event.timestamp = moment
    entries = update(AssetDagRunQueue).where(AssetDagRunQueue.asset_id.in_({event.asset_id for event in events}))
    session.execute(entries.values(created_at=moment).execution_options(synchronize_session=False))
