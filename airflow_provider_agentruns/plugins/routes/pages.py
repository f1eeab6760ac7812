# SPDX-License-Identifier: Apache-2.0
"""The pages: an empty frame each, which the script fills with what it asks for."""

from __future__ import annotations

import html
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlencode

from airflow.api_fastapi.app import get_auth_manager
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute

from airflow_provider_agentruns import __version__
from airflow_provider_agentruns.plugins.access import READS_TASKS

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="static/page.css?{version}">
{script}
</head>
<body><main id="page" data-page="{page}">{content}</main></body>
</html>
"""
_SCRIPT = '<script type="module" src="static/page.js?{version}"></script>'


class _PageRoute(APIRoute):
    """Sends who is not logged in to the login, and tells others on a page what they may not see."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except HTTPException as e:
                if e.status_code == 401:
                    query = f"?{request.url.query}" if request.url.query else ""
                    back = urlencode({"next": f"{request.url.path}{query}"})
                    # As Airflow's own /api/v2/auth/login does, which on 3.1 loses what comes after an ampersand.
                    return RedirectResponse(f"{get_auth_manager().get_url_login()}?{back}", 302)
                said = "You may not see this" if e.status_code == 403 else str(e.detail)
                return _page("refused", said, f'<p class="refused">{html.escape(said)}.</p>', e.status_code)

        return guarded


router = APIRouter(route_class=_PageRoute)


@router.get("/", dependencies=READS_TASKS)
def waiting_page() -> Response:
    """Return the page of all runs that this Airflow waits for."""
    return _page("waiting", "Agent runs")


@router.get("/task", dependencies=READS_TASKS)
def task_page(dag_id: str) -> Response:
    """Return the page of one task instance's run."""
    return _page("task", "Agent run")


def _page(page: str, title: str, content: str = "", status: int = 200) -> HTMLResponse:
    return HTMLResponse(
        _PAGE.format(
            page=page,
            title=html.escape(title),
            content=content,
            version=__version__,
            script=_SCRIPT.format(version=__version__) if not content else "",
        ),
        status,
    )
