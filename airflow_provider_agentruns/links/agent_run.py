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

    Airflow shows what lies in XCom under :attr:`xcom_key`. The operators push it as soon as they know the
    run, so that the link is there while the task is deferred; Airflow asks again when the task ends.
    """

    name = "Agent run"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the page's URL, or an empty string where there is none."""
        return getattr(operator, "run_page", "")
