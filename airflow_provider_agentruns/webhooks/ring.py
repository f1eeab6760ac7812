# SPDX-License-Identifier: Apache-2.0
"""
Telling the triggerer which runs to look at now: a short list under one key of one asset for each connection.

The triggerer's own process has no database, but its supervisor reads for it what is kept for an asset; see
:mod:`airflow_provider_agentruns.watching.hints`. Airflow lets that be read of an asset that is active, and calls those
active that a DAG has, so that this one, which no DAG has, is made active each time. The scheduler soon ends that, and
removes what is kept, which by then has been read. A hint that is lost costs latency and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import anyio.to_thread
from airflow.models.asset import AssetActive, AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.models.trigger import Trigger
from airflow.state import get_state_backend
from airflow.state.metastore import MetastoreBackend
from airflow.utils.session import create_session
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from airflow_provider_agentruns.assets import HINTS_KEY, hints_uri
from airflow_provider_agentruns.webhooks.taking import insert_if_absent

log = logging.getLogger(__name__)

#: How long hints are gathered before they are written, in seconds.
GATHER = 0.2

#: How long one is kept, in seconds; the triggerer looks every second. By the clocks of the API servers.
KEPT = 15.0

#: How many are kept.
MOST_KEPT = 1000

_WAITING = "airflow_provider_agentruns.triggers.agent_run."


class Ring:
    """Gathers which runs have changed, and writes it down. For one event loop."""

    def __init__(self) -> None:
        self._gathered: dict[str, set[str]] = {}
        self._task: asyncio.Task[None] | None = None

    def changed(self, conn_id: str, run_id: str) -> None:
        """Have who waits for a run told that it has changed, soon."""
        self._gathered.setdefault(conn_id, set()).add(run_id)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while self._gathered:
            await asyncio.sleep(GATHER)
            gathered, self._gathered = self._gathered, {}
            try:
                await anyio.to_thread.run_sync(partial(keep, gathered), limiter=anyio.CapacityLimiter(1))
            except Exception:
                log.warning("Cannot tell the triggerer which agent runs to look at; it polls them", exc_info=True)


def keep(changed: Mapping[str, Iterable[str]]) -> None:
    """
    Write down which runs have changed, where anybody waits for runs.

    :param changed: Runs by the connection whose service tells of them.
    """
    if not isinstance(get_state_backend(), MetastoreBackend):
        # Another would be asked every second, and may be far away.
        return
    with create_session() as session:
        waits = select(Trigger.id).where(Trigger.classpath.startswith(_WAITING, autoescape=True)).limit(1)
        if session.scalar(waits) is None:
            return
        # In one order, lest two processes wait for each other.
        for conn_id in sorted(changed):
            _keep(session, conn_id, changed[conn_id])


def _keep(session: Session, conn_id: str, run_ids: Iterable[str]) -> None:
    uri = hints_uri(conn_id)
    asset_id = _active_asset(session, uri)
    session.execute(
        insert_if_absent(session, AssetStateStoreModel).values(asset_id=asset_id, key=HINTS_KEY, value="[]")
    )
    ours = (AssetStateStoreModel.asset_id == asset_id, AssetStateStoreModel.key == HINTS_KEY)
    # From here on no other process writes it. SQLite has let none since the insert.
    value = session.scalar(select(AssetStateStoreModel.value).where(*ours).with_for_update())
    now = time.time()
    hints = [hint for hint in _read(value) if abs(now - hint[0]) < KEPT]
    hints += [[round(now, 3), secrets.token_hex(4), run_id] for run_id in sorted(run_ids)]
    session.execute(update(AssetStateStoreModel).where(*ours).values(value=json.dumps(hints[-MOST_KEPT:])))


def _active_asset(session: Session, uri: str) -> int:
    of_uri = select(AssetModel.id).where(AssetModel.uri == uri, AssetModel.name == uri)
    asset_id = session.scalar(of_uri)
    if asset_id is None:
        session.execute(insert_if_absent(session, AssetModel).values(name=uri, uri=uri, group="asset", extra={}))
        asset_id = session.scalars(of_uri).one()
    session.execute(insert_if_absent(session, AssetActive).values(name=uri, uri=uri))
    return asset_id


def _read(value: str | None) -> list[list[Any]]:
    hints: list[list[Any]] = json.loads(value or "[]")
    return hints
