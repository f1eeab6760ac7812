# SPDX-License-Identifier: Apache-2.0
"""The button in Airflow's task view that opens the run's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class AgentRunLink(BaseOperatorLink):
    """
    Links to the run's page if the connection has the extra ``run_url``.

    Airflow stores the URL in XCom whenever a worker releases the task, so the link exists while the task is deferred.
    """

    name = "Agent run"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the page's URL, or an empty string."""
        return getattr(operator, "run_page", "")
