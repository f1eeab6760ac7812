# SPDX-License-Identifier: Apache-2.0
"""Writes each asset event once to Airflow's database (Airflow 3.3+). The API server has no public way to do it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.assets.manager import asset_manager
from airflow.models.asset import AssetActive, AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.serialization.definitions.assets import SerializedAssetUniqueKey
from airflow.utils.retries import run_with_db_retries
from airflow.utils.session import create_session
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from airflow_provider_agentruns.airflow_adapter import ASSET_URIS


def in_transaction(function: Callable[[Session], None]) -> None:
    """Call a function in a transaction. Try again if the database fails."""
    for attempt in run_with_db_retries():
        with attempt, create_session() as session:
            function(session)


def add_key(session: Session, uris: Collection[str], key: str, source: str) -> list[str]:
    """
    Add a key to those assets that a DAG uses, and return the URIs of those that did not have it.

    The key is a row of the asset's state store, whose primary key lets only one of several processes succeed. Its value
    is the ID of the event (``source``), for people who read the state store.
    """
    # All processes lock assets in the same order to prevent a deadlock.
    assets = session.execute(
        select(AssetModel.id, AssetModel.uri)
        .join(AssetActive, (AssetActive.name == AssetModel.name) & (AssetActive.uri == AssetModel.uri))
        .where(AssetModel.uri.in_(uris), AssetModel.name == AssetModel.uri)
        .order_by(AssetModel.id)
        .with_for_update(key_share=True, of=AssetModel)
    )
    new = {row.id: row.uri for row in assets if session.get(AssetStateStoreModel, (row.id, key)) is None}
    value = json.dumps({"event": source})
    session.add_all(
        AssetStateStoreModel(asset_id=asset_id, key=key, value=value, last_updated_by_kind="api") for asset_id in new
    )
    session.flush()
    return list(new.values())


def delete_keys(session: Session, key_prefix: str, age: timedelta) -> None:
    assets = select(AssetModel.id).where(AssetModel.uri.startswith(ASSET_URIS, autoescape=True))
    old = delete(AssetStateStoreModel).where(
        AssetStateStoreModel.asset_id.in_(assets.scalar_subquery()),
        AssetStateStoreModel.key.startswith(key_prefix, autoescape=True),
        AssetStateStoreModel.updated_at < datetime.now(UTC) - age,
    )
    session.execute(old.execution_options(synchronize_session=False))


def create_events(session: Session, uris: Collection[str], payload: dict[str, Any]) -> None:
    for uri in uris:
        asset_manager.register_asset_change(
            asset=SerializedAssetUniqueKey(uri, uri), extra={"from_webhook": True, "payload": payload}, session=session
        )
