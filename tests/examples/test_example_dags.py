# SPDX-License-Identifier: Apache-2.0
"""Each example DAG, run as it stands."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.configuration import conf

from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.airflow_names import dag_bag
from tests.support.dag_runs import DagResult, DagRunner

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "example_dags").glob("*.py"))


@pytest.fixture
def run_example(run_dag: DagRunner, airflow_home: Path) -> Callable[..., DagResult]:
    """Return a function that runs an example by its name, with the DAG run's parameters."""

    def run(name: str, **params: Any) -> DagResult:
        return run_dag.run_file((ROOT / "example_dags" / f"{name}.py").read_text(), **params)

    return run


def test_the_first_example(run_example: Callable[..., DagResult], agent_runs_emulator: Emulator) -> None:
    result = run_example("example_agent_run")
    assert result.state == "success"
    [run] = agent_runs_emulator.service.runs.values()
    assert result.xcom("review") == run.output
    assert result.xcom("report") == [f"{a['title']}: {a['summary']}" for a in run.output["artifacts"]]


@pytest.mark.parametrize(
    ("agent", "way", "other"), [("slow", "output", "show_questions"), ("two_questions", "show_questions", "output")]
)
def test_the_sensor_example_branches(
    run_example: Callable[..., DagResult], agent_runs_emulator: Emulator, agent: str, way: str, other: str
) -> None:
    result = run_example("example_agent_run_sensor", agent=agent)
    [run] = agent_runs_emulator.service.runs.values()
    assert result.state == "success"
    assert result.states == {
        "start": "success",
        "wait": "success",
        "decide": "success",
        way: "success",
        other: "skipped",
    }
    shown = {"output": run.output, "show_questions": [question["value"]["label"] for question in run.interrupts]}
    assert result.xcom(way) == shown[way]


def test_the_mapped_example_starts_many_runs(
    run_example: Callable[..., DagResult], agent_runs_emulator: Emulator
) -> None:
    result = run_example("example_agent_run_mapped")
    assert result.state == "success"
    runs = agent_runs_emulator.service.runs
    assert len(runs) == len(result.xcom("businesses")) == 3
    assert {result.xcom(f"review[{index}]", "run_id") for index in range(3)} == set(runs)
    assert result.xcom("summaries") == [
        artifact["summary"] for index in range(3) for artifact in result.xcom(f"review[{index}]")["artifacts"]
    ]
    assert len(set(result.xcom("summaries"))) == 3


@pytest.mark.full
@pytest.mark.parametrize(("runs", "empty_batches"), [(6, 0), (4, 1)])
def test_the_example_with_batches_starts_one_run_for_each_business(
    run_example: Callable[..., DagResult], agent_runs_emulator: Emulator, runs: int, empty_batches: int
) -> None:
    result = run_example("example_agent_run_thousands", runs=runs)
    assert result.state == "success"
    assert list(result.states.values()).count("skipped") == 2 * empty_batches
    started = [run.context.id for run in agent_runs_emulator.service.runs.values()]
    assert sorted(started) == result.xcom("businesses")
    assert result.xcom("total") == runs


def test_the_default_of_the_example_with_batches_fits_airflows_limit() -> None:
    path = ROOT / "example_dags" / "example_agent_run_thousands.py"
    [dag] = dag_bag(path, path.parent).dags.values()
    batches = [task_id for task_id in dag.task_ids if task_id.startswith("batch_")]
    assert dag.params["runs"] == 5000
    assert dag.params["runs"] / len(batches) <= conf.getint("core", "max_map_length")


def test_the_decorator_example(run_example: Callable[..., DagResult], agent_runs_emulator: Emulator) -> None:
    result = run_example("example_agent_run_decorator", case="C-1002")
    assert result.state == "success"
    [run] = agent_runs_emulator.service.runs.values()
    assert run.context.id == "3f6d2a54-8f0e-4c53-9a3b-0d1c5b7a9e02"
    assert result.xcom("report") == [f"{a['title']}: {a['summary']}" for a in run.output["artifacts"]]


def test_the_index_lists_all_examples() -> None:
    listed = re.findall(r"^\| \[(\w+\.py)\]\(\1\) \| \S", (ROOT / "example_dags/README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == [path.name for path in EXAMPLES]


@pytest.mark.parametrize("name", ["example_agent_run_assets", "example_agent_run_webhook"])
def test_an_event_example_started_by_hand_reads_no_run(
    run_example: Callable[..., DagResult], agent_runs_emulator: Emulator, name: str
) -> None:
    """With events, it runs in the tests of a complete Airflow, whose triggerer creates them."""
    result = run_example(name)
    assert result.state == "success"
    assert result.xcom("run_ids") == []
    assert agent_runs_emulator.requests == []
