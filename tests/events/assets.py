# SPDX-License-Identifier: Apache-2.0
"""Assets in Airflow's database, as they are when a DAG is scheduled by them."""

from __future__ import annotations

import json
from typing import Any

from airflow.models.asset import (
    AssetActive,
    AssetDagRunQueue,
    AssetEvent,
    AssetModel,
    DagScheduleAssetReference,
)
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.sdk import Asset
from airflow.utils.session import create_session
from sqlalchemy import delete, func, select

from airflow_provider_agentruns.airflow_adapter import ASSET_URIS

_BUNDLE = "webhooks-tests"


class Assets:
    """Creates assets, each with a DAG that is scheduled by it, and deletes all assets of this package again."""

    def __init__(self) -> None:
        self._dags: set[str] = set()

    def add(self, asset: Asset, *, dag_id: str = "by_webhooks") -> Asset:
        self._dags.add(dag_id)
        with create_session() as session:
            session.merge(DagBundleModel(name=_BUNDLE))
            session.flush()
            session.merge(DagModel(dag_id=dag_id, bundle_name=_BUNDLE, is_stale=False, is_paused=False))
            model = AssetModel(name=asset.name, uri=asset.uri, group=asset.group, extra={})
            session.add(model)
            session.flush()
            session.add(AssetActive(name=asset.name, uri=asset.uri))
            session.add(DagScheduleAssetReference(asset_id=model.id, dag_id=dag_id))
        return asset

    def deactivate(self, asset: Asset) -> None:
        """Do what the scheduler does when no DAG uses an asset."""
        with create_session() as session:
            session.execute(delete(AssetActive).where(AssetActive.uri == asset.uri))

    def events(self, asset: Asset) -> list[dict[str, Any]]:
        """Return the extra of each event of an asset, in the order of creation."""
        query = (
            select(AssetEvent.extra)
            .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
            .where(AssetModel.uri == asset.uri)
            .order_by(AssetEvent.id)
        )
        with create_session() as session:
            return list(session.scalars(query))

    def payloads(self, asset: Asset) -> list[dict[str, Any]]:
        return [extra["payload"] for extra in self.events(asset)]

    def queued(self) -> set[str]:
        with create_session() as session:
            return set(session.scalars(select(AssetDagRunQueue.target_dag_id).distinct()))

    def clean_up(self) -> None:
        ours = AssetModel.uri.startswith(ASSET_URIS)
        ids = select(AssetModel.id).where(ours).scalar_subquery()
        with create_session() as session:
            for model in (AssetEvent, AssetDagRunQueue, DagScheduleAssetReference, AssetStateStoreModel):
                session.execute(delete(model).where(model.asset_id.in_(ids)))
            session.execute(delete(AssetActive).where(AssetActive.uri.startswith(ASSET_URIS)))
            session.execute(delete(AssetModel).where(ours))
            session.execute(delete(DagModel).where(DagModel.dag_id.in_(self._dags)))


def rows_of_all_tables() -> dict[str, int]:
    with create_session() as session:
        tables = AssetModel.metadata.sorted_tables
        return {table.name: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def kept(uri: str) -> dict[str, Any]:
    query = (
        select(AssetStateStoreModel.key, AssetStateStoreModel.value)
        .join(AssetModel, AssetModel.id == AssetStateStoreModel.asset_id)
        .where(AssetModel.uri == uri)
    )
    with create_session() as session:
        return {row.key: json.loads(row.value) for row in session.execute(query)}
