# SPDX-License-Identifier: Apache-2.0
"""Each DAG, each group of tasks and each script of the documentation, run as it stands."""

from __future__ import annotations

import re
import time

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.docs.blocks import DOCS, Block, blocks
from tests.support.dag_runs import DagResult, DagRunner

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"

_REVIEW = re.compile(r"\b(AgentRunReviewOperator|review_rounds)\(")


def runnable(block: Block) -> str:
    """Return a block in which a rule answers in place of people, and where nobody is to be asked, no agent asks."""
    if not block.asks_people:
        return block.text.replace("cip_orchestrator", "instant")
    if "decide=" in block.text:
        return block.text
    # A group takes its two arguments by their places as well.
    return re.sub(
        r"(\breview_rounds\(\s*\"\w+\",|\bAgentRunReviewOperator\()",
        r'\1 decide=lambda interrupt: "Approve",',
        block.text,
    )


def conf_for(block: Block, emulator: Emulator) -> dict[str, str]:
    """Start a run that fits a block, and return the DAG run's ``conf``."""
    if not block.asks_people:
        return {"business_id": BUSINESS, "run_id": emulator.service.create_run("slow", business_id=BUSINESS).id}
    run = emulator.service.create_run("needs_approval", business_id=BUSINESS)
    end = time.monotonic() + 10
    while not (asked := emulator.service.get_run(run.id).interrupts) and time.monotonic() < end:
        time.sleep(0.02)
    return {"business_id": BUSINESS, "run_id": run.id, "interrupt_id": asked[0]["id"]}


def run(block: Block, run_dag: DagRunner, emulator: Emulator) -> DagResult:
    """Run a block."""
    source, conf = runnable(block), conf_for(block, emulator)
    return run_dag(source, **conf) if block.kind == "tasks" else run_dag.run_file(source, **conf)


@pytest.mark.parametrize("block", blocks("dag", "tasks"), ids=str)
def test_a_dag_runs(
    block: Block, run_dag: DagRunner, agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_RUNS_URL", agent_runs_emulator.url)
    monkeypatch.setenv("AGENT_RUNS_TOKEN", agent_runs_emulator.token)
    result = run(block, run_dag, agent_runs_emulator)
    assert result.state == "success", result.states
    assert "success" in result.states.values()
    assert set(result.states.values()) <= {"success", "skipped"}


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_a_script_runs(block: Block, agent_runs_emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(runnable(block), str(block), "exec"), {"__name__": "__main__"})  # noqa: S102 -- the documentation's own
    assert agent_runs_emulator.requests
    assert capsys.readouterr().out


def test_the_tutorial_ends_as_it_says(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    [dag] = [block for block in blocks("dag") if block.page == "docs/tutorial.md"]
    [shown] = re.findall(r"^> (.+)$", (DOCS / "tutorial.md").read_text(), re.MULTILINE)
    assert run(dag, run_dag, agent_runs_emulator).xcom("report") == [shown]


def test_by_hand_and_by_the_provider_comes_the_same(
    run_dag: DagRunner, agent_runs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_RUNS_URL", agent_runs_emulator.url)
    monkeypatch.setenv("AGENT_RUNS_TOKEN", agent_runs_emulator.token)
    before, after = (block for block in blocks("dag") if block.page.endswith("migrating-from-http-sensor.md"))
    outputs = []
    for block in (before, after):
        known = set(agent_runs_emulator.service.runs)
        output = run(block, run_dag, agent_runs_emulator).xcom("finished")
        [started] = [
            run
            for run_id, run in agent_runs_emulator.service.runs.items()
            if run_id not in known and run.agent == "instant"
        ]
        assert output == started.output
        outputs.append([artifact["title"] for artifact in output["artifacts"]])
    assert outputs[0] == outputs[1]


def test_people_are_found() -> None:
    """Else a form would be waited for until the end of the tests."""
    assert sum(block.asks_people for block in blocks("dag", "tasks")) >= 6
    for block in blocks("dag", "tasks"):
        assert runnable(block).count("decide=") >= len(_REVIEW.findall(block.text))
