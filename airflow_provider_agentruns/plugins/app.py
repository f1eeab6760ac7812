# SPDX-License-Identifier: Apache-2.0
"""The web application that Airflow's API server serves for this package."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

from airflow_provider_agentruns.plugins.routes import overview, pages, task

log = logging.getLogger(__name__)

# Pages show data from task instances, XComs, and forms, so they require access to all three: of the DAG in the path or
# the query, otherwise of any DAG.
_READS_TASKS: list[Any] = [
    Depends(requires_access_dag("GET", entity))
    for entity in (DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM, DagAccessEntity.HITL_DETAIL)
]

# Pages load only the package's own files and data, and only Airflow's pages can contain them.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@cache
def get_app() -> FastAPI:
    app = FastAPI(title="Agent runs", openapi_url=None)
    app.middleware("http")(_add_headers)
    for router in (pages.router, task.router, overview.router):
        app.include_router(router, dependencies=_READS_TASKS)
    if importlib.util.find_spec("airflow.models.asset_state_store"):
        from airflow_provider_agentruns.plugins import webhooks

        app.include_router(webhooks.router)
    else:
        log.warning("Webhooks of agent runs require Airflow 3.3 or later; this Airflow rejects them")
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    return app


async def _add_headers(request: Request, respond: Callable[[Request], Awaitable[Response]]) -> Response:
    """Prevent browsers from executing an agent's text and from storing data."""
    response = await respond(request)
    response.headers.update(_HEADERS)
    # Browsers may store files, but must revalidate them.
    response.headers.setdefault("Cache-Control", "no-cache" if "etag" in response.headers else "no-store")
    return response
