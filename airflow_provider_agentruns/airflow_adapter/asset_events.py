# SPDX-License-Identifier: Apache-2.0
"""
Creates asset events in Airflow's database, at most one per asset and key.

A key is a row of the asset's state store, written in the same transaction as the event. If several processes write the
same key, its primary key lets one of them succeed. The others try again and find it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.assets.manager import asset_manager
from airflow.models.asset import AssetActive, AssetDagRunQueue, AssetEvent, AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.serialization.definitions.assets import SerializedAssetUniqueKey
from airflow.utils.retries import run_with_db_retries
from airflow.utils.session import create_session
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session


def create_asset_events(uris: Collection[str], key: str, payload: dict[str, Any], source: str) -> int:
    """
    Create an event of each asset in one transaction, except of assets that have the key.

    :param uris: The URIs of the assets, which are also their names. Assets that no DAG uses get no event.
    :param key: An asset has at most one event per key.
    :param source: Where the event comes from, for people who look into the state store.
    :return: The number of asset events that were created.
    """
    for attempt in run_with_db_retries():
        with attempt:
            callbacks: list[Callable[[], None]] = []
            with create_session() as session:
                new = _insert_keys(session, uris, key, json.dumps({"event": source}))
                if new:
                    _create(session, new, {"from_webhook": True, "payload": payload}, callbacks)
            # Listeners are called after the commit.
            for callback in callbacks:
                callback()
    return len(new)


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


def _insert_keys(session: Session, uris: Collection[str], key: str, value: str) -> dict[int, str]:
    """Return ID and URI of the assets that did not have the key."""
    # All processes lock assets in the same order, so that no two wait for each other.
    assets = session.execute(
        select(AssetModel.id, AssetModel.uri)
        .join(AssetActive, (AssetActive.name == AssetModel.name) & (AssetActive.uri == AssetModel.uri))
        .where(AssetModel.uri.in_(uris), AssetModel.name == AssetModel.uri)
        .order_by(AssetModel.id)
        .with_for_update(key_share=True, of=AssetModel)
    )
    new = {row.id: row.uri for row in assets if session.get(AssetStateStoreModel, (row.id, key)) is None}
    for asset_id in new:
        session.add(AssetStateStoreModel(asset_id=asset_id, key=key, value=value, last_updated_by_kind="api"))
    session.flush()
    return new


def _create(session: Session, assets: dict[int, str], extra: dict[str, Any], callbacks: list[Any]) -> None:
    """
    Create an event of each asset.

    Airflow queues a DAG at its first event. The scheduler then gives the DAG run all events until that moment, and
    removes the entry from the queue (``SchedulerJobRunner._create_dag_runs_asset_triggered``). An event that arrives
    between the two would wait for the next event. Therefore the entry's time is set to that of the newest event.
    """
    queue = AssetDagRunQueue.asset_id.in_(assets)
    # Keeps schedulers from removing entries until the transaction ends. SQLite has no such locks: there, a scheduler
    # that is just removing an entry may leave the newest event for the next one.
    entries = select(AssetDagRunQueue.target_dag_id).where(queue)
    session.execute(entries.order_by(AssetDagRunQueue.asset_id, AssetDagRunQueue.target_dag_id).with_for_update())
    events: list[AssetEvent | None] = [
        asset_manager.register_asset_change(
            asset=SerializedAssetUniqueKey(uri, uri), extra=extra, session=session, callback_sink=callbacks
        )
        for uri in assets.values()
    ]
    # The time of the commit: no DAG run can have received events of this moment before.
    moment = datetime.now(UTC)
    for event in events:
        if event is not None:
            event.timestamp = moment
    session.execute(
        update(AssetDagRunQueue).where(queue).values(created_at=moment).execution_options(synchronize_session=False)
    )
