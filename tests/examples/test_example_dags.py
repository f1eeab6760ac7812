# SPDX-License-Identifier: Apache-2.0
"""Each example DAG, run as it stands. ``tests/standalone/test_example_reviews.py`` runs those with reviews."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from airflow.configuration import conf

from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.airflow_names import dag_bag
from tests.support.dag_runs import DagRunner

EXAMPLES = Path(__file__).parents[2] / "example_dags"


@pytest.mark.parametrize(
    ("name", "params", "runs", "skipped"),
    [
        ("example_agent_run", {}, 1, set()),
        ("example_agent_run_decorator", {"case": "C-1002"}, 1, set()),
        ("example_agent_run_mapped", {}, 3, set()),
        ("example_agent_run_sensor", {"agent": "slow"}, 1, {"show_questions"}),
        ("example_agent_run_sensor", {"agent": "two_questions"}, 1, {"output"}),
        pytest.param("example_agent_run_thousands", {"runs": 6}, 6, set(), marks=pytest.mark.full),
        # One of the five batches is empty.
        pytest.param("example_agent_run_thousands", {"runs": 4}, 4, {"review_4", "count_4"}, marks=pytest.mark.full),
        # Started by hand, without events.
        ("example_agent_run_assets", {}, 0, {"output", "summaries"}),
        ("example_agent_run_webhook", {}, 0, {"output", "summaries"}),
    ],
)
def test_an_example_succeeds(
    run_dag: DagRunner,
    agent_runs_emulator: Emulator,
    name: str,
    params: dict[str, Any],
    runs: int,
    skipped: set[str],
) -> None:
    result = run_dag.run_file((EXAMPLES / f"{name}.py").read_text(), **params)
    assert result.state == "success"
    assert {task_id for task_id, state in result.states.items() if state == "skipped"} == skipped
    found = agent_runs_emulator.service.runs.values()
    assert len({run.context.id for run in found}) == len(found) == runs
    artifacts = [artifact for run in found if run.output for artifact in run.output["artifacts"]]
    # Runs about different businesses differ. The offline service knows four names of companies.
    assert len({artifact["summary"] for artifact in artifacts}) == min(len(artifacts), 4)
    expected = {
        "report": [f"{artifact['title']}: {artifact['summary']}" for artifact in artifacts],
        "summaries": [artifact["summary"] for artifact in artifacts],
        "show_questions": [question["value"]["label"] for run in found for question in run.interrupts],
        "total": len(artifacts),
        "run_ids": [run.id for run in found],
    }
    for task_id in (expected.keys() & result.states.keys()) - skipped:
        value = result.xcom(task_id)
        # Mapped tasks start their runs in any order.
        assert value == expected[task_id] or sorted(value) == sorted(expected[task_id])


def test_the_default_of_the_example_with_batches_fits_airflows_limit() -> None:
    path = EXAMPLES / "example_agent_run_thousands.py"
    [dag] = dag_bag(path, path.parent).dags.values()
    batches = [task_id for task_id in dag.task_ids if task_id.startswith("batch_")]
    assert dag.params["runs"] == 5000
    assert dag.params["runs"] / len(batches) <= conf.getint("core", "max_map_length")


def test_the_index_lists_all_examples() -> None:
    listed = re.findall(r"^\| \[(\w+\.py)\]\(\1\) \| \S", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in EXAMPLES.glob("*.py"))
