# SPDX-License-Identifier: Apache-2.0
"""The plugin: the views that Airflow shows, the web application behind them, and a listener in the scheduler."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

from airflow_provider_agentruns.plugins import listener

PREFIX = "/agent-runs"
_ICONS = {"icon": "agent-runs/static/icon.svg", "icon_dark_mode": "agent-runs/static/icon-dark.svg"}


class _LazyApp:
    # Only the API server accesses the attribute, so only it imports the web application.
    def __get__(self, instance: object, owner: type) -> list[dict[str, Any]]:
        from airflow_provider_agentruns.plugins.app import get_app

        return [{"app": get_app(), "url_prefix": PREFIX, "name": "Agent runs"}]


class AgentRunsPlugin(AirflowPlugin):
    name = "agent_runs"
    fastapi_apps = _LazyApp()
    listeners = [listener]  # noqa: RUF012 -- as Airflow declares it
    # The URLs are relative, because Airflow may be served below a path.
    external_views = [  # noqa: RUF012 -- as Airflow declares it
        {
            "name": "Agent run",
            "href": "agent-runs/task?dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}",
            "destination": "task_instance",
            "url_route": "agent-run",
            **_ICONS,
        },
        {
            "name": "Agent runs",
            "href": "agent-runs/",
            "destination": "nav",
            "category": "browse",
            "url_route": "agent-runs",
            **_ICONS,
        },
    ]
