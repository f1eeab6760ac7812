# SPDX-License-Identifier: Apache-2.0
"""The button in Airflow's task view that leads to the run's own page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class AgentRunLink(BaseOperatorLink):
    """
    Leads to the run's page, where the connection's extra ``run_url`` says where that is.

    Airflow asks for it, and puts it into XCom under :attr:`xcom_key`, whenever a worker lets go of the task: so
    it is there while the task is deferred, and again when the task ends.
    """

    name = "Agent run"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the page's URL, or an empty string where there is none."""
        return getattr(operator, "run_page", "")
