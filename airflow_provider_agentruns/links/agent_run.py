# SPDX-License-Identifier: Apache-2.0
"""The button in Airflow's task view that opens the run's own page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class AgentRunLink(BaseOperatorLink):
    """
    Links to the run's page, if the connection's extra ``run_url`` has the URL of such pages.

    Airflow calls it and stores the URL in XCom whenever a worker releases the task. The link therefore exists while the
    task is deferred, and is written again when the task ends.
    """

    name = "Agent run"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the page's URL, or an empty string."""
        return getattr(operator, "run_page", "")
