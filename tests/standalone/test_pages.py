# SPDX-License-Identifier: Apache-2.0
"""The data of the pages, in a complete Airflow."""

from __future__ import annotations

from typing import Any

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.plugins.agent_runs import PREFIX
from tests.standalone.people import review
from tests.support.standalone import Standalone


def test_the_pages_show_a_review_before_and_after_its_answer(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval")
    asked.shown()
    overview, task = _waiting(airflow), _task(airflow, asked.dag_run)
    [row] = [row for row in overview["rows"] if row["run_id"] == run_id]
    assert (row["task_id"], row["needs_person"]) == ("review", True)
    assert "review" in overview["dag_ids"]
    assert _waiting(airflow, dag_id="no_such_dag")["rows"] == []
    assert (task["task"]["run_id"], task["run"]["id"], task["run"]["status"]) == (run_id, run_id, "interrupted")
    assert [question["id"] for question in task["questions"]] == [interrupt_id]
    assert task["questions"][0]["form"]["dag_run_id"] == asked.dag_run

    asked.answer("Approve")
    asked.wait_for_dag()
    assert run_id not in {row["run_id"] for row in _waiting(airflow)["rows"]}
    answered = _task(airflow, asked.dag_run)
    assert answered["task"]["state"] == "success"
    assert [entry["chosen"] for entry in answered["trail"]] == [["Approve"]]


def _waiting(airflow: Standalone, **params: Any) -> dict[str, Any]:
    return dict(airflow.call("GET", "/api/waiting", base=PREFIX, params=params))


def _task(airflow: Standalone, dag_run: str) -> dict[str, Any]:
    params = {"run_id": dag_run, "task_id": "review", "map_index": "{MAP_INDEX}"}
    return dict(airflow.call("GET", "/api/dags/review/task", base=PREFIX, params=params))
