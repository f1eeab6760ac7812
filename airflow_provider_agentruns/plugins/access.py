# SPDX-License-Identifier: Apache-2.0
"""Access checks: pages follow Airflow's own permissions."""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends

#: Dependencies of a route that shows tasks of the DAG in its path, or of all readable DAGs. Pages show data from task
#: instances, XComs, and forms, so they require access to all three.
READS_TASKS: list[Any] = [
    Depends(requires_access_dag("GET", entity))
    for entity in (DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM, DagAccessEntity.HITL_DETAIL)
]


def _readable_dags(user: GetUserDep) -> set[str]:
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")


#: IDs of the DAGs that the user may read.
ReadableDags = Annotated[set[str], Depends(_readable_dags)]
