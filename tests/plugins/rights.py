# SPDX-License-Identifier: Apache-2.0
"""An auth manager as Airflow's simple one, in which some people may read only some DAGs."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

#: How Airflow's configuration names it.
CLASS = "tests.plugins.rights.SomeDagsAuthManager"

#: Begins the names of those who may read DAGs of which the rest of the name is the beginning.
READS = "reads_"

#: May read all DAGs, and no XCom values.
NO_XCOM = "no_xcom"


class SomeDagsAuthManager(SimpleAuthManager):
    """Lets ``reads_sales`` read DAGs whose ids begin with ``sales``, and ``no_xcom`` see no XCom."""

    def is_authorized_dag(
        self,
        *,
        method: Any,
        user: SimpleAuthManagerUser,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        """Say whether somebody may do that with a DAG, or with any."""
        name = user.get_name()
        if name == NO_XCOM and access_entity == DagAccessEntity.XCOM:
            return False
        if name.startswith(READS) and details and details.id:
            return method == "GET" and details.id.startswith(name.removeprefix(READS))
        return bool(super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details))
