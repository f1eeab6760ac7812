# SPDX-License-Identifier: Apache-2.0
"""The button in Airflow's task view that opens the run's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class AgentRunLink(BaseOperatorLink):
    """Links to the run's page if the connection has the extra ``run_url``."""

    name = "Agent run"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        # Airflow stores the URL in XCom when a task leaves its worker, so the link also exists during a deferral.
        return getattr(operator, "run_page", "")
