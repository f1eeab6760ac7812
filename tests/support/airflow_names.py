# SPDX-License-Identifier: Apache-2.0
"""Names that differ between versions of Airflow, under one name."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from airflow.sdk.execution_time import supervisor, task_runner

from tests.support.airflow_versions import AIRFLOW

if AIRFLOW >= (3, 2):
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.exceptions import AirflowRescheduleException
    from airflow.sdk.serde import deserialize, serialize
    from airflow.serialization.decoders import smart_decode_trigger_kwargs
    from airflow.serialization.definitions.dag import SerializedDAG
    from airflow.serialization.encoders import encode_trigger
    from airflow.serialization.serialized_objects import DagSerialization
else:
    from airflow.exceptions import AirflowRescheduleException
    from airflow.models.dagbag import DagBag
    from airflow.serialization.serde import deserialize, serialize
    from airflow.serialization.serialized_objects import SerializedDAG, smart_decode_trigger_kwargs
    from airflow.serialization.serialized_objects import _encode_trigger as encode_trigger

    DagSerialization = SerializedDAG

if AIRFLOW < (3, 3):
    # Airflow 3.3 caches it. Creating it for each task of each ``dag.test()`` takes seconds.
    supervisor.in_process_api_server = cache(supervisor.in_process_api_server)

    def _finalize(
        ti: Any, state: Any, context: Any, log: Any, error: Any, *, finalize: Any = task_runner.finalize
    ) -> None:
        """Add the error, which only workers and newer versions add, for the callbacks of ``dag.test()``."""
        context["exception"] = error
        finalize(ti, state, context, log, error)

    task_runner.finalize = _finalize

__all__ = [
    "AirflowRescheduleException",
    "DagSerialization",
    "SerializedDAG",
    "dag_bag",
    "deserialize",
    "encode_trigger",
    "serialize",
    "smart_decode_trigger_kwargs",
]


def dag_bag(path: Path, folder: Path) -> Any:
    """Return the DAGs of a file in the folder of Airflow's only bundle."""
    bundle = {"bundle_name": "dags-folder"} if AIRFLOW >= (3, 2) else {}
    return DagBag(dag_folder=path, bundle_path=folder, safe_mode=False, **bundle)
