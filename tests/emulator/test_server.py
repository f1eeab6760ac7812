# SPDX-License-Identifier: Apache-2.0
"""The server itself: its rate limit, its record of requests, the connection to it, and its command line."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_agentruns.client.settings import Settings
from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import BUSINESS_ID, Client, error_of

MODULE = "airflow_provider_agentruns.emulator"


def test_beyond_the_rate_limit() -> None:
    with Emulator(rate_limit=3) as emulator, Client(emulator) as client:
        with Client(emulator, headers={}) as stranger:
            error_of(stranger.get("/v1/agents"), 401)
        assert [client.get("/v1/agents").status_code for _ in range(3)] == [200, 200, 200]
        refused = next(answer for _ in range(100) if (answer := client.get("/v1/agents")).status_code != 200)
        error_of(refused, 429)
        assert refused.headers["retry-after"] == "1"
        time.sleep(1)
        assert client.get("/v1/agents").status_code == 200


def test_requests_are_recorded_without_the_token() -> None:
    with Emulator(token="mk_test_secret") as emulator, Client(emulator) as client:
        run_id = client.start("instant")["id"]
        client.run(run_id)
        client.get("/nowhere")
        assert [(r.method, r.path, r.query, r.status) for r in emulator.requests] == [
            ("POST", "/v1/runs", "", 201),
            ("GET", f"/v1/runs/{run_id}", "include=steps", 200),
            ("GET", "/nowhere", "", 404),
        ]
        assert emulator.requests[0].at <= emulator.requests[-1].at <= time.monotonic()
        assert "secret" not in repr(emulator.requests)
        assert emulator.count("GET", r"/v1/runs/[^/]+") == 1
        assert emulator.count("GET", r"/v1/runs") == 0
        assert emulator.count("POST", r"/v1/runs") == 1


def test_the_connection_means_this_server() -> None:
    from airflow.models.connection import Connection

    with Emulator(token="mk_test/with:odd@signs", extra={"rate_limit": 7, "verify": False}) as emulator:
        for connection in (
            Connection(uri=emulator.connection_uri),
            Connection.from_json(emulator.connection_json, conn_id="agentruns_default"),
        ):
            settings = Settings.from_parts(
                host=connection.host,
                port=connection.port,
                schema=connection.schema,
                password=connection.password,
                extra=connection.extra_dejson,
            )
            assert connection.conn_type == "agentruns"
            assert settings.base_url == emulator.url
            assert settings.token.get_secret_value() == "mk_test/with:odd@signs"
            assert (settings.rate_limit, settings.verify) == (7, False)


def test_middleware_sees_each_request_first() -> None:
    class Refuses:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    with Emulator(middleware=[Middleware(Refuses)]) as emulator:
        assert httpx.get(emulator.url).status_code == 503
        assert emulator.requests[0].status == 503


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "", "::"])  # noqa: S104
def test_it_serves_this_machine_alone(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Emulator(host=host)


def test_the_command_line_serves_until_it_is_told_to_end() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        process = _start("--port", "0", "--speed", "50", "--seed", "3", "--rate-limit", "0")
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.search(r"at (http://127\.0\.0\.1:\d+); .*export AIRFLOW_CONN_AGENTRUNS_DEFAULT=(\S+)", line)
            assert found, line
            assert found[2].startswith("agentruns://:mk_test_offline@127.0.0.1:")
            headers = {"Authorization": "Bearer mk_test"}
            body = {"type": "instant", "business_id": BUSINESS_ID}
            assert httpx.post(f"{found[1]}/v1/runs", json=body, headers=headers).status_code == 201
            process.send_signal(number)
            output, errors = process.communicate(timeout=5)
            assert (process.returncode, output, errors) == (0, "", "")
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--host", "0.0.0.0"], 2, "no IPv4 loopback address"),  # noqa: S104
        (["--speed", "0"], 2, "speed must be above 0"),
        (["--port", "99999"], 1, "Cannot serve on 127.0.0.1:99999"),
    ],
)
def test_the_command_line_refuses(arguments: list[str], status: int, says: str) -> None:
    process = _start(*arguments)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == status
    assert says in errors
    assert "Traceback" not in errors


def test_the_command_line_does_not_show_the_token() -> None:
    process = _start("--port", "0", "--token", "mk_test_secret")
    try:
        assert process.stdout
        assert "agentruns://:YOUR_TOKEN@127.0.0.1:" in process.stdout.readline()
        process.terminate()
        assert "secret" not in "".join(process.communicate(timeout=5))
    finally:
        process.kill()


def test_the_command_line_says_that_the_port_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = _start("--port", str(taken.getsockname()[1]))
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert errors.startswith("Cannot serve on 127.0.0.1:")
    assert errors.count("\n") == 1


def test_the_command_line_without_its_libraries() -> None:
    code = f"import sys, runpy; sys.modules['starlette'] = None; runpy.run_module('{MODULE}', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("install airflow-provider-agentruns[emulator]\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        (f"{MODULE}.pytest_plugin", ["starlette", "uvicorn", "jsonschema", "airflow"]),
        (f"{MODULE}.server", ["airflow", "airflow_provider_agentruns.client", "airflow_provider_agentruns.models"]),
    ],
)
def test_importing_it_imports_no_more_than_it_needs(module: str, unwanted: list[str]) -> None:
    code = f"import sys, {module}; print(sorted(set({unwanted!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=10, check=True)
    assert done.stdout.strip() == "[]"


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
