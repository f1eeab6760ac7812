# SPDX-License-Identifier: Apache-2.0
"""What is measured: our trigger, those of two peers, and a minimal poller as the reference."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.benchmarks.bodies import run_id
from tests.benchmarks.rows import LIMIT, Row


@dataclass(frozen=True, slots=True)
class Subject:
    """
    What waits. It is created in the process that measures it, before anything is measured.

    :param trigger: Creates the trigger that waits for the run with that number.
    :param succeeded: Whether an event's payload says that the run has succeeded.
    """

    trigger: Callable[[int], Any]
    succeeded: Callable[[Any], bool]


def _set_connection(conn_id: str, **fields: Any) -> None:
    os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(fields)


def _ours(row: Row, port: int) -> Subject:
    _set_connection(
        "agentruns_default",
        conn_type="agentruns",
        host=f"https://127.0.0.1:{port}",
        password="mk_test_bench",
        # By default it keeps to the service's limit.
        extra={} if row.limited else {"rate_limit": 1000},
    )

    def trigger(number: int) -> AgentRunTrigger:
        return AgentRunTrigger(run_id(number), poll_interval=row.poll_interval, watch=row.watch)

    return Subject(trigger, lambda payload: payload.get("status") == "completed")


def _dbt(row: Row, port: int) -> Subject:
    """Use dbt Cloud's trigger as ``DbtCloudRunJobOperator(deferrable=True)`` does."""
    from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger

    _set_connection("dbt_cloud_default", conn_type="dbt_cloud", login="1", password="token", host=f"127.0.0.1:{port}")

    def trigger(number: int) -> Any:
        return DbtCloudRunJobTrigger(
            conn_id="dbt_cloud_default",
            run_id=number,
            end_time=time.time() + 7 * 24 * 3600,
            poll_interval=row.poll_interval,
            account_id=None,
        )

    return Subject(trigger, lambda payload: payload["status"] == "success")


def _databricks(row: Row, port: int) -> Subject:
    """Use Databricks' trigger as ``DatabricksRunNowOperator(deferrable=True)`` does."""
    from airflow.providers.databricks.triggers.databricks import DatabricksExecutionTrigger

    _set_connection("databricks_default", conn_type="databricks", host="127.0.0.1", port=port, password="token")

    def trigger(number: int) -> Any:
        return DatabricksExecutionTrigger(
            run_id=number,
            databricks_conn_id="databricks_default",
            polling_period_seconds=int(row.poll_interval),
            run_page_url="https://example.com/run",
        )

    return Subject(trigger, lambda payload: json.loads(payload["run_state"])["result_state"] == "SUCCESS")


class _Pages:
    """One task that reads the listing for all waits, and nothing more. Shows the lowest cost. Not for use."""

    def __init__(self, row: Row, port: int) -> None:
        self._interval = row.poll_interval
        self._pause = 1.05 / LIMIT if row.limited else 0.0
        self._next_request = 0.0
        self._http = httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", timeout=30)
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._poller: asyncio.Task[None] | None = None

    async def wait(self, number: int) -> str:
        """Return the status of a run that is no longer running."""
        future = self._waiting[run_id(number)] = asyncio.get_running_loop().create_future()
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        return await future

    async def _poll(self) -> None:
        await asyncio.sleep(0.1)
        next_read = time.monotonic()
        while self._waiting:
            await self._read()
            next_read += self._interval
            if self._waiting:
                await asyncio.sleep(next_read - time.monotonic())

    async def _read(self) -> None:
        page, more = 1, True
        while more:
            if (delay := self._next_request - time.monotonic()) > 0:
                await asyncio.sleep(delay)
            self._next_request = time.monotonic() + self._pause
            response = await self._http.get("/v1/runs", params={"page": page, "per_page": 100})
            listed = json.loads(response.content)
            for run in listed["data"]:
                if run["status"] != "running" and (future := self._waiting.pop(run["id"], None)):
                    future.set_result(run["status"])
            page, more = page + 1, listed["has_more"]


class _PagesTrigger(BaseTrigger):
    def __init__(self, pages: _Pages, number: int) -> None:
        super().__init__()
        self._pages = pages
        self._number = number

    def serialize(self) -> tuple[str, dict[str, Any]]:
        raise NotImplementedError

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent(await self._pages.wait(self._number))


def _pages(row: Row, port: int) -> Subject:
    pages = _Pages(row, port)
    return Subject(lambda number: _PagesTrigger(pages, number), lambda payload: payload == "completed")


#: Creates each subject for a row and the port of the service.
SUBJECTS = {"ours": _ours, "dbt": _dbt, "databricks": _databricks, "pages": _pages}
