# SPDX-License-Identifier: Apache-2.0
"""
Changes of runs become asset events in Airflow's database, each exactly once.

That an asset has had a change is a row under its id and the change's key, which is written in the same transaction
as the event. Of several processes that are told of the same one, a primary key lets one through.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.assets.manager import asset_manager
from airflow.models.asset import AssetActive, AssetEvent, AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.serialization.definitions.assets import SerializedAssetUniqueKey
from airflow.utils.session import create_session
from airflow.utils.sqlalchemy import get_dialect_name
from sqlalchemy import Insert, delete, insert, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from airflow_provider_agentruns.airflow_adapter.asset_queue import hold_queue, let_queue_cover
from airflow_provider_agentruns.events.asset_uris import SCHEME, asset_uris
from airflow_provider_agentruns.events.webhook_event import OLDEST, RunChange

log = logging.getLogger(__name__)

#: A change of a run, and the connection whose service tells of it.
Told = tuple[str, RunChange]

#: Begins the keys of what was taken.
KEY = "webhook:"

#: How long it is remembered: longer than anything that old is taken.
REMEMBERED = OLDEST + timedelta(days=1)

# A database that is locked, or has given up one of two that waited for each other.
_TRIES = 4
_PAUSE = 0.05


def take(told: Sequence[Told]) -> int:
    """
    Make asset events of changes, of those that there has been none of. All of them, or none.

    :return: How many asset events were made.
    """
    for left in reversed(range(_TRIES)):
        try:
            return _take(told)
        except OperationalError:
            if not left:
                raise
            time.sleep(_PAUSE * random.uniform(1, 2) * (_TRIES - left))  # noqa: S311 -- so that two do not meet again
    raise AssertionError


def _take(told: Sequence[Told]) -> int:
    # Who listens to asset events is told when they are there.
    callbacks: list[Callable[[], None]] = []
    events: list[AssetEvent] = []
    with create_session() as session:
        for asset, wanted in _wanted(session, told):
            # One process after the other, asset by asset in one order, so that no two wait for each other.
            session.execute(select(AssetModel.id).where(AssetModel.id == asset.id).with_for_update(key_share=True))
            new = [change for key, change in wanted.items() if _is_new(session, asset.id, key, change)]
            if new:
                hold_queue(session, asset.id)
            for change in new:
                event = asset_manager.register_asset_change(
                    asset=SerializedAssetUniqueKey(asset.uri, asset.uri),
                    extra={"from_webhook": True, "payload": change.payload},
                    session=session,
                    callback_sink=callbacks,
                )
                if event is not None:
                    events.append(event)
        let_queue_cover(session, events)
    for callback in callbacks:
        callback()
    return len(events)


def _wanted(session: Session, told: Sequence[Told]) -> Iterator[tuple[Any, dict[str, RunChange]]]:
    """Yield each asset that is to have an event, by its id, with the changes by their keys."""
    of_uri: dict[str, dict[str, RunChange]] = defaultdict(dict)
    for conn_id, change in told:
        for uri in asset_uris(conn_id, str(change.status), change.agent):
            of_uri[uri][f"{KEY}{change.run_id}:{change.state}"] = change
    assets = session.execute(
        select(AssetModel.id, AssetModel.uri)
        .join(AssetActive, (AssetActive.name == AssetModel.name) & (AssetActive.uri == AssetModel.uri))
        .where(AssetModel.uri.in_(of_uri), AssetModel.name == AssetModel.uri)
        .order_by(AssetModel.id)
    ).all()
    for asset in assets:
        yield asset, of_uri[asset.uri]


def _is_new(session: Session, asset_id: int, key: str, change: RunChange) -> bool:
    """Note that an asset has had a change, and say whether it is the first time."""
    row = insert_if_absent(session, AssetStateStoreModel).values(
        asset_id=asset_id, key=key, value=json.dumps({"event": change.event_id}), last_updated_by_kind="api"
    )
    return bool(session.execute(row).rowcount)  # type: ignore[attr-defined]


def insert_if_absent(session: Session, model: Any) -> Insert:
    """Return an insert that leaves a row which is there as it is; its ``rowcount`` says whether there was one."""
    dialect = get_dialect_name(session)
    if dialect == "mysql":
        return insert(model).prefix_with("IGNORE")
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(model).on_conflict_do_nothing()
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(model).on_conflict_do_nothing()


def forget_old() -> int:
    """Remove what is remembered of changes that are too old to be told of again, and return how much that was."""
    ours = select(AssetModel.id).where(AssetModel.uri.startswith(f"{SCHEME}://", autoescape=True))
    with create_session() as session:
        old = delete(AssetStateStoreModel).where(
            AssetStateStoreModel.asset_id.in_(ours.scalar_subquery()),
            AssetStateStoreModel.key.startswith(KEY, autoescape=True),
            AssetStateStoreModel.updated_at < datetime.now(UTC) - REMEMBERED,
        )
        return int(session.execute(old.execution_options(synchronize_session=False)).rowcount)  # type: ignore[attr-defined]
