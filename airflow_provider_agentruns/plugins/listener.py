# SPDX-License-Identifier: Apache-2.0
"""What the scheduler calls when a DAG run starts or ends: leaves no asset event of agent runs without a DAG run."""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl


@hookimpl
def on_dag_run_running(dag_run: Any) -> None:
    """Queue the DAG again for events that arrived before this DAG run was created."""
    # Imported here, because every component of Airflow loads this module with the plugin.
    from airflow_provider_agentruns.airflow_adapter.held_events import queue_held_events
    from airflow_provider_agentruns.events.asset_uris import SCHEME

    queue_held_events(
        dag_run, uri_prefix=f"{SCHEME}://", trigger_prefix="airflow_provider_agentruns.triggers.agent_run."
    )


@hookimpl
def on_dag_run_success(dag_run: Any) -> None:
    """Queue the DAG again for events that were not committed when this DAG run started."""
    on_dag_run_running(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: Any) -> None:
    """Queue the DAG again for events that were not committed when this DAG run started."""
    on_dag_run_running(dag_run)
