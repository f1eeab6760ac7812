# SPDX-License-Identifier: Apache-2.0
"""DAGs whose runs are looked at on this package's own pages; the tests make the connections."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_agentruns.operators.agent_run import AgentRunOperator, review_rounds
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"
BEGIN = datetime(2026, 1, 1)

with DAG("page_of_a_review", schedule=None, start_date=BEGIN, default_args={"agentruns_conn_id": "unhurried"}):
    start = AgentRunOperator(task_id="start", agent="{{ dag_run.conf['agent'] }}", business_id=BUSINESS, wait_for=())
    review_rounds("reviewed", run_id=start.output["run_id"], rounds=1, deferrable=True, poke_interval=0.5)

with DAG("page_of_a_failure", schedule=None, start_date=BEGIN):
    AgentRunSensor(task_id="wait", run_id="0b9a1f5e-0000-4000-8000-000000000001", agentruns_conn_id="unreachable")
