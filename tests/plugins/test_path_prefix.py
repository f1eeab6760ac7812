# SPDX-License-Identifier: Apache-2.0
"""The pages and the endpoint for webhooks work if ``[api] base_url`` has a path."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from airflow.api_fastapi import app as airflow_app

from airflow_provider_agentruns.plugins.agent_runs import AgentRunsPlugin
from tests.plugins.served import ServedAirflow
from tests.support.airflow_versions import HAS_STATE_STORE

#: Where Airflow's pages are, from which the addresses of views and icons are relative.
BASE = "https://example.com/airflow/"

ICONS = ("icon", "icon_dark_mode")


@pytest.fixture
def browser(served: ServedAirflow, monkeypatch: pytest.MonkeyPatch) -> httpx.AsyncClient:
    """Return the browser of a logged-in user, for Airflow behind a proxy that passes complete paths."""
    # Airflow reads base_url when it imports the module.
    monkeypatch.setattr(airflow_app, "API_ROOT_PATH", urlsplit(BASE).path)
    app = airflow_app.create_app(apps="core")
    with served.log_in("reader") as reader:
        cookies = dict(reader.cookies)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), cookies=cookies)


async def test_everything_that_a_page_refers_to_is_found(browser: httpx.AsyncClient) -> None:
    for view in AgentRunsPlugin.external_views:
        page = await browser.get(urljoin(BASE, view["href"]))
        assert page.status_code == 200, page.url
        files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        found = [*(urljoin(str(page.url), name) for name in files), *(urljoin(BASE, view[key]) for key in ICONS)]
        assert len(found) == 4
        assert [(await browser.get(address)).status_code for address in found] == [200] * 4
    # The script requests this address relative to the page.
    data = await browser.get(urljoin(f"{BASE}agent-runs/", "api/waiting"))
    assert data.json()["rows"] == []


async def test_a_page_redirects_to_the_login_and_back(browser: httpx.AsyncClient) -> None:
    browser.cookies.clear()
    for page in ("/airflow/agent-runs/", "/airflow/agent-runs/task?dag_id=a&task_id=t"):
        answer = await browser.get(urljoin(BASE, page))
        assert answer.status_code == 302
        login = urljoin(BASE, answer.headers["location"])
        assert parse_qs(urlsplit(login).query)["next"] == [page]
        assert (await browser.get(login)).status_code == 200


@pytest.mark.skipif(not HAS_STATE_STORE, reason="Airflow before 3.3 rejects webhooks")
async def test_webhooks_arrive(browser: httpx.AsyncClient) -> None:
    answer = await browser.post(f"{BASE}agent-runs/webhooks/hooked", content=b"{}")
    assert "HMAC" in answer.json()["detail"]
