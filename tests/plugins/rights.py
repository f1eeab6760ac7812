# SPDX-License-Identifier: Apache-2.0
"""Airflow's simple auth manager, extended by users who may read only some DAGs."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

#: Its name in Airflow's configuration.
CLASS = "tests.plugins.rights.SomeDagsAuthManager"

#: The prefix of users who may read only DAGs whose IDs start with the rest of the user's name.
READS = "reads_"

#: The user who may read all DAGs, but no XCom values.
NO_XCOM = "no_xcom"


class SomeDagsAuthManager(SimpleAuthManager):
    """``reads_sales`` may read DAGs whose IDs start with ``sales``, and ``no_xcom`` may not read XCom."""

    def is_authorized_dag(
        self,
        *,
        method: Any,
        user: SimpleAuthManagerUser,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        name = user.get_name()
        if name == NO_XCOM and access_entity == DagAccessEntity.XCOM:
            return False
        if name.startswith(READS) and details and details.id:
            return method == "GET" and details.id.startswith(name.removeprefix(READS))
        return bool(super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details))
