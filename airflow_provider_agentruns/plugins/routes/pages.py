# SPDX-License-Identifier: Apache-2.0
"""The pages: an empty frame each, which the script fills with data from the other routes."""

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

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="static/page.css?{version}">
<script type="module" src="static/page.js?{version}"></script>
</head>
<body><main id="page" data-page="{page}">{content}</main></body>
</html>
"""

_FORBIDDEN = "You do not have access to this page, which shows task instances, XCom, and required actions"


class _PageRoute(APIRoute):
    """Redirects to the login if the user is not logged in, and shows other errors as a page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_errors(request: Request) -> Response:
            try:
                return await handle(request)
            except HTTPException as e:
                if e.status_code == 401:
                    back = urlencode({"next": str(request.url.replace(scheme="", netloc=""))})
                    # Like Airflow's /api/v2/auth/login, which on Airflow 3.1 drops everything after an ampersand.
                    return RedirectResponse(f"{get_auth_manager().get_url_login()}?{back}", 302)
                message = html.escape(_FORBIDDEN if e.status_code == 403 else str(e.detail))
                return _page("error", message, f'<p class="refused">{message}.</p>', e.status_code)

        return handle_errors


router = APIRouter(route_class=_PageRoute)


@router.get("/")
def overview_page() -> Response:
    return _page("overview", "Agent runs")


@router.get("/task")
def task_page(dag_id: str) -> Response:
    return _page("task", "Agent run")


def _page(page: str, title: str, content: str = "", status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(page=page, title=title, content=content, version=__version__), status)
