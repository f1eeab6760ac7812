# SPDX-License-Identifier: Apache-2.0
"""The server: its port, its rate limit, its record of requests, the connection to it, and its command line."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import httpx
import psutil
import pytest

from airflow_provider_agentruns.client.connection_settings import Settings
from airflow_provider_agentruns.emulator.__main__ import main
from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import BUSINESS_ID, Client, error_of

MODULE = "airflow_provider_agentruns.emulator"


def test_it_listens_on_loopback_only() -> None:
    before = listening()
    with Emulator(webhook="http://127.0.0.1:9/") as emulator:
        assert listening() - before == {("127.0.0.1", emulator.port)}
        with emulator.faults.of("refused"):
            assert listening() == before
        assert listening() - before == {("127.0.0.1", emulator.port)}


def listening() -> set[tuple[str, int]]:
    connections = psutil.Process().net_connections("inet")
    return {(it.laddr.ip, it.laddr.port) for it in connections if it.status == psutil.CONN_LISTEN}


def test_the_rate_limit() -> None:
    with Emulator(rate_limit=3) as emulator, Client(emulator) as client:
        with Client(emulator, headers={}) as stranger:
            error_of(stranger.get("/v1/agents"), 401)
        refused = next(answer for _ in range(1000) if (answer := client.get("/v1/agents")).status_code != 200)
        error_of(refused, 429)
        assert emulator.count("GET", "/v1/agents") >= 5
        assert refused.headers["retry-after"] == "1"


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
        assert "secret" not in repr(emulator.requests)
        assert [emulator.count("GET", path) for path in (r"/v1/runs/[^/]+", "/v1/runs")] == [1, 0]


def test_only_one_token_is_valid_until_it_is_rotated() -> None:
    with Emulator(token="mk_test_one") as emulator, Client(emulator) as client:
        assert client.get("/v1/agents").status_code == 200
        emulator.rotate_token("mk_test_two")
        error_of(client.get("/v1/agents"), 401)
        with Client(emulator) as renewed:
            assert renewed.get("/v1/agents").status_code == 200
        assert "mk_test_two" in emulator.connection_uri


def test_the_connection_leads_to_this_server() -> None:
    from airflow.models.connection import Connection

    with Emulator(token="mk_test/with:odd@signs", extra={"rate_limit": 7, "verify": False}) as emulator:
        connection = Connection(uri=emulator.connection_uri)
        settings = Settings.from_parts(
            host=connection.host,
            port=connection.port,
            schema=connection.schema,
            password=connection.password,
            extra=connection.extra_dejson,
        )
        assert (connection.conn_type, settings.base_url) == ("agentruns", emulator.url)
        assert settings.token.get_secret_value() == "mk_test/with:odd@signs"
        assert (settings.rate_limit, settings.verify) == (7, False)


def test_the_command_line_serves_until_a_signal() -> None:
    arguments = ["--port", "0", "--token", "mk_test_secret", "--rate-limit", "0", "--fault", "502 POST times=1"]
    command = [sys.executable, "-W", "default", "-m", MODULE, *arguments, "--fault", "500 POST times=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.search(r"at (http://127\.0\.0\.1:\d+); .*export AIRFLOW_CONN_AGENTRUNS_DEFAULT=(\S+)", line)
            assert found, line
            assert found[2].startswith("agentruns://:YOUR_TOKEN@127.0.0.1:")
            headers = {"Authorization": "Bearer mk_test_secret"}
            body = {"type": "instant", "business_id": BUSINESS_ID}
            answers = [httpx.post(f"{found[1]}/v1/runs", json=body, headers=headers) for _ in range(3)]
            assert [answer.status_code for answer in answers] == [502, 500, 201]
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=20)
            assert (process.returncode, output, errors) == (0, "", "")
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--speed", "0"], "speed must be above 0"),
        (["--fault", "503 times=no"], "rule '503 times=no': times: Input should be a valid integer"),
    ],
)
def test_the_command_line_names_the_mistake(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--port", "0", *arguments])
    assert says in capsys.readouterr().err


def test_the_command_line_without_its_libraries() -> None:
    code = f"import sys, runpy; sys.modules['starlette'] = None; runpy.run_module('{MODULE}', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("install airflow-provider-agentruns[emulator]\n")
