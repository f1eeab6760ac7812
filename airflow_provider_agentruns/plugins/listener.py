# SPDX-License-Identifier: Apache-2.0
"""The scheduler's listener: no asset event of an agent run is left without a DAG run."""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl


@hookimpl
def on_dag_run_running(dag_run: Any) -> None:
    """Queue the DAG again for events that arrived before this DAG run was created."""
    # Imported here, because every component of Airflow loads this module with the plugin.
    from airflow_provider_agentruns.airflow_adapter.held_events import queue_held_events

    queue_held_events(dag_run)


# Events may also arrive, or be committed, while a DAG run starts.
on_dag_run_success = on_dag_run_failed = on_dag_run_running
