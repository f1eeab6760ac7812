# SPDX-License-Identifier: Apache-2.0
"""How plans are written: as JSON, as text, as tuples, in the marker and on the command line."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.faults import FAULTS, FaultError, Rule
from airflow_provider_agentruns.emulator.faults.network import AnswerLost
from airflow_provider_agentruns.emulator.faults.plan import read_plan, rule_of
from airflow_provider_agentruns.emulator.faults.statuses import TooMany, Unavailable
from airflow_provider_agentruns.emulator.faults.timing import SlowAnswer
from airflow_provider_agentruns.emulator.server import Emulator

MODULE = "airflow_provider_agentruns.emulator"

_SAME = Rule(fault=Unavailable(retry_after=2), method="GET", path="/v1/runs/.*", times=2)


@pytest.mark.parametrize(
    "entry",
    [
        {"fault": "503", "method": "GET", "path": "/v1/runs/.*", "times": 2, "retry_after": 2},
        {"fault": 503, "method": "GET", "path": "/v1/runs/.*", "times": 2, "retry_after": 2, "after": 0},
        ("503", "GET", "/v1/runs/.*", {"times": 2, "retry_after": 2}),
        ["503", "GET", {"times": 2, "retry_after": 2, "path": "/v1/runs/.*"}],
        "503 GET /v1/runs/.* times=2 retry_after=2",
        "503 times=2 path=/v1/runs/.* method=GET retry_after=2",
        _SAME,
    ],
)
def test_the_same_rule_in_many_forms(entry: Any) -> None:
    assert rule_of(entry) == _SAME


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("answer lost", Rule(fault=AnswerLost())),
        ("answer lost POST", Rule(fault=AnswerLost(), method="POST")),
        (r"answer lost /v1/runs/\d+=\S*", Rule(fault=AnswerLost(), path=r"/v1/runs/\d+=\S*")),
        ("answer lost .*/resume share=0.5", Rule(fault=AnswerLost(), path=".*/resume", share=0.5)),
        ("answer lost (/v1/runs|/v1/threads)", Rule(fault=AnswerLost(), path="(/v1/runs|/v1/threads)")),
        ("429 retry_after=soon", Rule(fault=TooMany(retry_after="soon"))),
        ("429 retry_after='Wed, 21 Oct'", Rule(fault=TooMany(retry_after="Wed, 21 Oct"))),
        ("429 retry_after=null times=null", Rule(fault=TooMany(retry_after=None))),
        ("503 taken=true", Rule(fault=Unavailable(taken=True))),
        ("slow answer seconds=0.25", Rule(fault=SlowAnswer(seconds=0.25))),
    ],
)
def test_the_short_form(text: str, rule: Rule) -> None:
    assert rule_of(text) == rule


def test_a_text_stays_a_text_in_the_short_form() -> None:
    assert rule_of("unknown status status=7").fault == FAULTS["unknown status"](status="7")  # type: ignore[call-arg]


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_a_short_form_by_its_name(name: str) -> None:
    assert rule_of(name) == rule_of({"fault": name}) == rule_of((name,))


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("", "not JSON: "),
        ("[" * 100_000, "not JSON: "),
        ("{}", "a plan is a list of entries"),
        ('["503", 7]', "entry 2: an entry is an object, a tuple or a text, not 7"),
        ('[{"method": "GET"}]', "entry 1: fault: is missing"),
        ('["503", {"fault": "502", "times": "two"}]', "entry 2 (502): times: must be a whole number or null"),
        ('[{"fault": "502", "times": 1, "times": 2}]', "entry 1 (502): times: is there twice"),
        ('[{"fault": "slow answer", "second": 1}]', "entry 1 (slow answer): second: is no field of slow answer; "),
        ('[["503", "GET", "/", "/"]]', "entry 1 (503): a tuple: takes a name, a method, a path"),
        ('["503 GET twice"]', "entry 1 (503 GET twice): 'twice' is no field: they are written name=value"),
        ('["503 times=1 times=2"]', "entry 1 (503 times=1 times=2): times: is there twice"),
        ('["503 path=\\"/"]', 'entry 1 (503 path="/): cannot be read: No closing quotation'),
        ('["GET /v1/runs"]', "entry 1 (GET /v1/runs): fault: there is no fault ''"),
    ],
)
def test_a_plan_with_a_mistake(plan: str, says: str) -> None:
    with pytest.raises(FaultError, match=re.escape(says)):
        read_plan(plan)


def test_a_plan_with_a_mistake_leaves_the_port_free() -> None:
    with Emulator() as emulator:
        port = emulator.port
    with pytest.raises(FaultError, match="entry 1"):
        Emulator(port=port, faults=["nothing"])
    with Emulator(port=port, faults=["503"]) as emulator:
        assert httpx.get(emulator.url).status_code == 503


@pytest.mark.agent_runs(
    faults=[
        ("503", "GET", "/v1/agents", {"times": 1}),
        {"fault": "502", "method": "GET", "times": 1},
        "500 GET times=1",
        Rule(fault=TooMany(), times=1),
    ]
)
def test_the_marker(agent_runs_emulator: Emulator) -> None:
    headers = {"Authorization": f"Bearer {agent_runs_emulator.token}"}
    with httpx.Client(base_url=agent_runs_emulator.url, headers=headers) as client:
        assert [client.get("/v1/agents").status_code for _ in range(5)] == [503, 502, 500, 429, 200]
    assert [request.fault for request in agent_runs_emulator.requests] == ["503", "502", "500", "429", None]


def test_without_the_marker_nothing_goes_wrong(agent_runs_emulator: Emulator) -> None:
    assert agent_runs_emulator.faults.in_force == ()


def test_the_command_line_takes_a_plan_and_short_forms(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps([{"fault": "503", "times": 1, "retry_after": "soon"}, "502 GET times=1"]))
    arguments = ["--port", "0", "--faults", str(plan), "--fault", "500 times=1", "--fault", "stream cut"]
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        found = re.search(r"at (http://127\.0\.0\.1:\d+);", process.stdout.readline())
        assert found
        with httpx.Client(base_url=found[1], headers={"Authorization": "Bearer x"}) as client:
            answers = [client.get("/v1/agents") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [503, 502, 500, 200]
        assert answers[0].headers["retry-after"] == "soon"
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=10)
        assert (process.returncode, output, errors) == (0, "", "")
    finally:
        process.kill()


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", MODULE, "--port", "0", *arguments],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_the_command_line_lists_the_faults() -> None:
    done = _run("--list-faults")
    assert (done.returncode, done.stderr) == (0, "")
    for name in FAULTS:
        assert f"\n  {name}\n      " in done.stdout
    assert "      seconds=5.0: How long it takes.\n" in done.stdout
    assert "\nStreams\n\n  stream cut\n" in done.stdout


@pytest.mark.parametrize(
    ("plan", "arguments", "says"),
    [
        ('["503", {"fault": "502", "times": 0}]', [], "plan.json: entry 2 (502): times: must be at least 1, not 0\n"),
        ("[", [], "plan.json: not JSON: "),
        (None, [], "plan.json: cannot be read: "),
        (b"\xff", [], "plan.json: cannot be read: "),
        ("[]", ["--fault", "503 times=no"], "--fault '503 times=no': times: must be a whole number or null"),
        ("[]", ["--fault", "slow"], "--fault 'slow': fault: there is no fault 'slow'"),
    ],
)
def test_the_command_line_names_the_mistake(
    tmp_path: Path, plan: str | bytes | None, arguments: list[str], says: str
) -> None:
    file = tmp_path / "plan.json"
    if plan is not None:
        file.write_bytes(plan if isinstance(plan, bytes) else plan.encode())
    done = _run("--faults", str(file), *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
