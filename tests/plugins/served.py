# SPDX-License-Identifier: Apache-2.0
"""Airflow's API server with this package's plugin on a loopback port, and HTTP clients for it."""

from __future__ import annotations

import socket
import threading
import time
import warnings
from typing import Any

import httpx
import uvicorn

from tests.support.scripted_server import unused_port


class ServedAirflow:
    """
    The API server in a thread of this process, as a context manager. It reads its configuration when it starts.
    """

    def __init__(self) -> None:
        from airflow.api_fastapi.app import create_app, purge_cached_app

        purge_cached_app()
        self.port = unused_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.app = create_app(apps="core")
        config = uvicorn.Config(self.app, host="127.0.0.1", port=self.port, log_level="warning", lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="api-server", daemon=True)

    def __enter__(self) -> ServedAirflow:
        self._thread.start()
        end = time.monotonic() + 30
        while not self._server.started:
            assert self._thread.is_alive(), "the API server did not start"
            assert time.monotonic() < end, "the API server takes too long to start"
            time.sleep(0.02)
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        # The pages keep their connections to the service until the process ends. pytest ends this server after the last
        # test of a worker, which can be one that fails if something is left open.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self._thread.join(20)
        assert not self._thread.is_alive()

    def log_in(self, name: str, role: str = "VIEWER") -> httpx.Client:
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        browser = self.browser()
        token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))
        browser.cookies.set(COOKIE_NAME_JWT_TOKEN, token)
        return browser

    def send_head(self, path: str, *headers: str) -> socket.socket:
        """Return a TCP connection over which only the head of a POST request was sent."""
        wire = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        wire.sendall("\r\n".join([f"POST {path} HTTP/1.1", "Host: airflow", *headers, "", ""]).encode())
        return wire

    def browser(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False)


def task_path(dag_id: str, run_id: str, task_id: str, map_index: Any = "{MAP_INDEX}") -> httpx.URL:
    """Return the path of a task instance's data. For unmapped tasks, Airflow leaves the placeholder in the URL."""
    query = {"run_id": run_id, "task_id": task_id, "map_index": str(map_index)}
    return httpx.URL(f"/agent-runs/api/dags/{dag_id}/task", params=query)
