# SPDX-License-Identifier: Apache-2.0
"""The plugin: the pages that Airflow shows, and the web application behind them."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

#: Where the web application is, below Airflow's own root.
PREFIX = "/agent-runs"


class _WhenServed:
    """The web application, made when it is asked for: only the API server does, and only there is it worth its cost."""

    def __get__(self, instance: object, owner: type) -> list[dict[str, Any]]:
        from airflow_provider_agentruns.plugins.app import the_app

        return [{"app": the_app(), "url_prefix": PREFIX, "name": "Agent runs"}]


class AgentRunsPlugin(AirflowPlugin):
    """
    Adds the tab *Agent run* to task instances, and *Agent runs* to the menu *Browse*.

    The addresses are relative: Airflow's page says where its root is.
    """

    name = "agent_runs"
    fastapi_apps = _WhenServed()
    external_views = [  # noqa: RUF012 -- as Airflow declares it
        {
            "name": "Agent run",
            "href": "agent-runs/task?dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}",
            "destination": "task_instance",
            "url_route": "agent-run",
            "icon": "agent-runs/static/icon.svg",
            "icon_dark_mode": "agent-runs/static/icon-dark.svg",
        },
        {
            "name": "Agent runs",
            "href": "agent-runs/",
            "destination": "nav",
            "category": "browse",
            "url_route": "agent-runs",
            "icon": "agent-runs/static/icon.svg",
            "icon_dark_mode": "agent-runs/static/icon-dark.svg",
        },
    ]
