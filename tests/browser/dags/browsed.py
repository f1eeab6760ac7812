# SPDX-License-Identifier: Apache-2.0
"""The DAG whose reviews the browser opens; it takes a run's id as ``conf``."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_agentruns.operators.agent_run import review_rounds

with DAG("browsed", schedule=None, start_date=datetime(2026, 1, 1)):
    review_rounds("reviewed", run_id="{{ dag_run.conf['run_id'] }}", rounds=2, deferrable=True, poke_interval=0.5)
