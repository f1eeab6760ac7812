# SPDX-License-Identifier: Apache-2.0
"""The web application that Airflow's API server serves for this package."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from airflow_provider_agentruns.plugins.client_pool import ClientPool
from airflow_provider_agentruns.plugins.headers import SecurityHeaders
from airflow_provider_agentruns.plugins.routes import pages, task, waiting
from airflow_provider_agentruns.plugins.webhooks import endpoint

_STATIC = Path(__file__).parent / "static"


@cache
def get_app() -> FastAPI:
    """Return this process's application. Airflow asks more than once."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await app.state.clients.close()

    app = FastAPI(title="Agent runs", openapi_url=None, lifespan=lifespan)
    app.state.clients = ClientPool()
    app.add_middleware(SecurityHeaders)
    for router in (pages.router, task.router, waiting.router, endpoint.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    return app
