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
from airflow_provider_agentruns.plugins.headers import SafeHeaders
from airflow_provider_agentruns.plugins.routes import pages, task, waiting
from airflow_provider_agentruns.plugins.webhooks import endpoint

#: What is built of the pages' source.
STATIC = Path(__file__).parent / "static"


def create_app() -> FastAPI:
    """Return a new application with all routes."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await app.state.readings.close()

    app = FastAPI(title="Agent runs", openapi_url=None, lifespan=lifespan)
    app.state.readings = ClientPool()
    app.add_middleware(SafeHeaders)
    for router in (pages.router, task.router, waiting.router, endpoint.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


@cache
def the_app() -> FastAPI:
    """Return the one application of this process: Airflow asks more than once."""
    return create_app()
