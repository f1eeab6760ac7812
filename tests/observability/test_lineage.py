# SPDX-License-Identifier: Apache-2.0
"""Events of Airflow's OpenLineage provider, which ``make test-lineage`` installs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_agentruns.emulator.script_steps import Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.lineage import _MAX_SOURCES, _sources, _types
from airflow_provider_agentruns.models import Artifact
from tests.support import BUSINESS

FILE = """
from datetime import datetime
from airflow.sdk import DAG
from airflow_provider_agentruns.operators.agent_run import AgentRunOperator, AgentRunOutputOperator

with DAG("lineage", schedule=None, start_date=datetime(2026, 1, 1)):
    AgentRunOperator(
        task_id="start", agent="{agent}", business_id="{business}", poll_interval=0.1, deferrable={deferrable}
    )
"""


def sourced(case: Case) -> ScriptBody:
    yield Work(0.1, "read", "Reads")
    sources = [
        {"url": "https://registry.example.com/companies/7?token=secret#top"},
        {"url": "https://registry.example.com/companies/7"},
        {"url": "javascript:alert(1)"},
        {"url": None},
    ]
    return [{"title": "Registration", "type": "registration_review", "sources": sources}]


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.agent_runs(agents={"sourced": sourced})
@pytest.mark.full
def test_lineage_has_the_run_its_sources_and_its_output(
    agent_runs_emulator: Emulator, tmp_path: Path, airflow_home: Path, deferrable: bool
) -> None:
    events = emitted(tmp_path, airflow_home, "sourced", deferrable)
    [run_id] = agent_runs_emulator.service.runs
    complete = next(it for it in events if it["eventType"] == "COMPLETE" and "agentRun" in it["run"]["facets"])
    facet = complete["run"]["facets"]["agentRun"]
    assert (facet["agentRunId"], facet["agent"], facet["status"]) == (run_id, "sourced", "completed")
    assert (facet["connectionId"], facet["artifactTypes"]) == ("agentruns_default", ["registration_review"])
    assert [(each["namespace"], each["name"]) for each in complete["inputs"]] == [
        ("https://registry.example.com", "/companies/7")
    ]
    service = agent_runs_emulator.url.removeprefix("http://")
    assert [(each["namespace"], each["name"]) for each in complete["outputs"]] == [
        (f"agentruns://{service}", f"runs/{run_id}/output")
    ]
    assert "secret" not in json.dumps(events)


@pytest.mark.full
def test_lineage_of_a_failed_run(agent_runs_emulator: Emulator, tmp_path: Path, airflow_home: Path) -> None:
    events = emitted(tmp_path, airflow_home, "fails", False)
    [failed] = [event for event in events if event["eventType"] == "FAIL" and "agentRun" in event["run"]["facets"]]
    assert failed["run"]["facets"]["agentRun"]["status"] == "error"


def emitted(folder: Path, home: Path, agent: str, deferrable: bool) -> list[dict[str, Any]]:
    pytest.importorskip(
        "airflow.providers.openlineage", reason="needs Airflow's OpenLineage provider: make test-lineage"
    )
    dags = folder / "dags"
    dags.mkdir()
    (dags / "lineage.py").write_text(
        textwrap.dedent(FILE).format(agent=agent, business=BUSINESS, deferrable=deferrable)
    )
    log = folder / "events"
    transport = {"type": "file", "log_file_path": str(log), "append": True}
    environment = {
        **os.environ,
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__DISABLED": "False",
    }
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "dags", "test", "lineage", "-f", str(dags / "lineage.py")],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert log.exists(), done.stdout + done.stderr
    return [json.loads(line) for line in log.read_text().splitlines() if line]


def test_sources_are_bounded_and_of_the_web() -> None:
    sources = [{"url": f"https://example.com/{number}?q=1"} for number in range(1000)]
    found = _sources([Artifact.model_validate({"sources": [{"url": "ftp://x/y"}, {"url": "https://[bad"}, *sources]})])
    assert len(found) == _MAX_SOURCES
    assert found[0] == ("https://example.com", "/0")
    [(_, name)] = _sources([Artifact.model_validate({"sources": [{"url": "https://example.com/" + "x" * 9_000_000}]})])
    assert len(name) == 1_000


@pytest.mark.parametrize("sources", ["none", 7, {"a": 1}, ["x", 1, None, ["y"], {"url": 5}, {"url": ["z"]}]])
def test_sources_and_types_of_a_wrong_kind_are_left_out(sources: Any) -> None:
    wrong = Artifact.model_validate({"sources": sources, "type": {"x": 1}})
    right = Artifact.model_validate({"type": "cip_summary"})
    assert _sources([wrong, right]) == []
    assert _types([wrong, right]) == ["cip_summary"]
