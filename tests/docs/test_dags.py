# SPDX-License-Identifier: Apache-2.0
"""Each DAG, group of tasks, and script of the documentation runs against the offline service."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.docs.blocks import DOCS, Block, blocks
from tests.support import BUSINESS
from tests.support.airflow_names import dag_bag
from tests.support.dag_runs import DagResult, DagRunner


def runnable(block: Block) -> str:
    """Return a block in which a policy replaces people. If it asks no person, its agent asks nothing."""
    if not block.asks_people:
        return block.text.replace("cip_orchestrator", "instant")
    if "decide=" in block.text:
        return block.text
    # review_rounds accepts its first argument by position.
    return re.sub(
        r"(\breview_rounds\(\s*\"\w+\",|\bAgentRunReviewOperator\()",
        r'\1 decide=lambda interrupt: "Approve",',
        block.text,
    )


def conf_for(block: Block, emulator: Emulator) -> dict[str, str]:
    if not block.asks_people:
        return {"business_id": BUSINESS, "run_id": emulator.service.create_run("slow", business_id=BUSINESS).id}
    run = emulator.service.create_run("needs_approval", business_id=BUSINESS)
    end = time.monotonic() + 60
    while not (asked := emulator.service.get_run(run.id).interrupts) and time.monotonic() < end:
        time.sleep(0.02)
    return {"business_id": BUSINESS, "run_id": run.id, "interrupt_id": asked[0]["id"]}


def run(block: Block, run_dag: DagRunner, emulator: Emulator) -> DagResult:
    source, conf = runnable(block), conf_for(block, emulator)
    return run_dag(source, **conf) if block.kind == "tasks" else run_dag.run_file(source, **conf)


@pytest.fixture(autouse=True)
def _service_in_environment(agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_RUNS_URL", agent_runs_emulator.url)
    monkeypatch.setenv("AGENT_RUNS_TOKEN", agent_runs_emulator.token)


@pytest.mark.parametrize("block", blocks("dag"), ids=str)
def test_a_dag_can_be_imported(block: Block, tmp_path: Path) -> None:
    (tmp_path / "block.py").write_text(block.text)
    bag = dag_bag(tmp_path / "block.py", tmp_path)
    assert not bag.import_errors
    assert bag.dags


def test_the_tutorial_ends_as_it_says(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    [dag] = [block for block in blocks("dag") if block.page == "docs/tutorial.md"]
    [shown] = re.findall(r"^> (.+)$", (DOCS / "tutorial.md").read_text(), re.MULTILINE)
    assert run(dag, run_dag, agent_runs_emulator).xcom("report") == [shown]


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_a_script_runs(block: Block, agent_runs_emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(runnable(block), str(block), "exec"), {"__name__": "__main__"})  # noqa: S102 -- our documentation
    assert agent_runs_emulator.requests
    assert capsys.readouterr().out


@pytest.mark.full
@pytest.mark.parametrize("block", blocks("dag", "tasks"), ids=str)
def test_a_dag_runs(block: Block, run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    result = run(block, run_dag, agent_runs_emulator)
    assert result.state == "success", result.states
    assert "success" in result.states.values()
    assert set(result.states.values()) <= {"success", "skipped"}
