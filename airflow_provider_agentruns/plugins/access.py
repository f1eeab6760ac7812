# SPDX-License-Identifier: Apache-2.0
"""Who may see what: Airflow's own rights, by its own functions."""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, Request

from airflow_provider_agentruns.plugins.client_pool import ClientPool

#: For a route that shows one DAG's tasks (with ``dag_id`` in its path) or many. What a run found is in XCom too, so
#: that it takes the right to see that.
READS_TASKS: list[Any] = [
    Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE)),
    Depends(requires_access_dag("GET", DagAccessEntity.XCOM)),
    # What forms ask is shown, too.
    Depends(requires_access_dag("GET", DagAccessEntity.HITL_DETAIL)),
]


def _readable_dags(user: GetUserDep) -> set[str]:
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")


def _readings(request: Request) -> ClientPool:
    readings: ClientPool = request.app.state.readings
    return readings


#: The ids of the DAGs that the user may read.
ReadableDags = Annotated[set[str], Depends(_readable_dags)]

#: What reads the service for all pages of this process.
Pool = Annotated[ClientPool, Depends(_readings)]
