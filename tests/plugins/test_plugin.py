# SPDX-License-Identifier: Apache-2.0
"""Airflow finds the plugin, importing it is cheap, and everything it refers to is served."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import airflow_provider_agentruns.plugins
from tests.plugins.served import ServedAirflow
from tests.test_import_cost import PACKAGE, modules, ours

PLUGINS = Path(airflow_provider_agentruns.plugins.__path__[0])

#: Modules that only the API server needs.
HEAVY = ("fastapi", "starlette", "httpx", "sqlalchemy", "airflow.api_fastapi", "airflow.models", "pydantic")


def test_importing_it_imports_nothing_that_airflow_has_not_imported_before() -> None:
    # Every Airflow process imports these before it loads plugins.
    before = "import airflow.sdk\nfrom airflow.providers.common.compat.sdk import AirflowPlugin"
    _, added = modules(before, f"from {PACKAGE}.plugins.agent_runs import AgentRunsPlugin as P; P()")
    assert {name for name in added if name.startswith(HEAVY)} == set()
    assert {name for name in added if name.startswith(f"{PACKAGE}.")} == set(
        ours("plugins", "plugins.agent_runs", "plugins.listener")
    )


def test_airflow_lists_both_views(served: ServedAirflow) -> None:
    with served.log_in("admin", "ADMIN") as admin:
        plugins = admin.get("/api/v2/plugins").raise_for_status().json()["plugins"]
        assert admin.get("/api/v2/plugins/importErrors").json()["import_errors"] == []
    [ours] = [plugin for plugin in plugins if plugin["name"] == "agent_runs"]
    assert {view["destination"]: view["url_route"] for view in ours["external_views"]} == {
        "task_instance": "agent-run",
        "nav": "agent-runs",
    }
    assert [app["url_prefix"] for app in ours["fastapi_apps"]] == ["/agent-runs"]


@pytest.mark.parametrize("name", ["page.js", "page.css"])
def test_built_files_are_small_and_refer_to_no_other_host(name: str) -> None:
    built = (PLUGINS / "static" / name).read_bytes()
    assert len(gzip.compress(built)) < 60_000
    for address in (b"//cdn", b"@import", b"eval(", b"new Function", b"dangerouslySetInnerHTML="):
        assert address not in built
