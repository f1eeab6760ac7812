# SPDX-License-Identifier: Apache-2.0
"""The deferrable triggers of other providers, set up as their documentation says."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.benchmarks.rows import Row
from tests.benchmarks.subjects import Skip, Subject, set_connection


def dbt(row: Row, port: int) -> Subject:
    """dbt Cloud's, as ``DbtCloudRunJobOperator(deferrable=True)`` makes it."""
    try:
        from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger
    except ImportError as e:
        raise Skip(str(e)) from None
    set_connection("dbt_cloud_default", conn_type="dbt_cloud", login="1", password="token", host=f"127.0.0.1:{port}")

    def trigger(number: int) -> Any:
        return DbtCloudRunJobTrigger(
            conn_id="dbt_cloud_default",
            run_id=number,
            end_time=time.time() + 7 * 24 * 3600,
            poll_interval=row.poll_interval,
            account_id=None,
        )

    return Subject(trigger, lambda payload: payload["status"] == "success")


def databricks(row: Row, port: int) -> Subject:
    """Databricks', as ``DatabricksRunNowOperator(deferrable=True)`` makes it."""
    try:
        from airflow.providers.databricks.triggers.databricks import DatabricksExecutionTrigger
    except ImportError as e:
        raise Skip(str(e)) from None
    set_connection("databricks_default", conn_type="databricks", host="127.0.0.1", port=port, password="token")

    def trigger(number: int) -> Any:
        return DatabricksExecutionTrigger(
            run_id=number,
            databricks_conn_id="databricks_default",
            polling_period_seconds=int(row.poll_interval),
            run_page_url="https://example.com/run",
        )

    return Subject(trigger, lambda payload: json.loads(payload["run_state"])["result_state"] == "SUCCESS")
