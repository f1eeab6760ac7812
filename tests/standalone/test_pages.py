# SPDX-License-Identifier: Apache-2.0
"""Each data endpoint of the pages, on the database of a complete Airflow."""

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


def test_the_pages_and_their_files_are_served(airflow: Standalone) -> None:
    for path in ("/", "/task?dag_id=review"):
        page = airflow.get(f"{PREFIX}{path}")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name in ("page.js", "page.css", "icon.svg"):
        assert airflow.get(f"{PREFIX}/static/{name}").status_code == 200
    assert airflow.get(f"{PREFIX}/api/dags/review/task", run_id="x", task_id="review").status_code == 404


def _waiting(airflow: Standalone, **params: Any) -> dict[str, Any]:
    response = airflow.get(f"{PREFIX}/api/waiting", **params)
    assert response.status_code == 200, response.text
    return dict(response.json())


def _task(airflow: Standalone, dag_run: str) -> dict[str, Any]:
    params = {"run_id": dag_run, "task_id": "review", "map_index": "{MAP_INDEX}"}
    response = airflow.get(f"{PREFIX}/api/dags/review/task", **params)
    assert response.status_code == 200, response.text
    return dict(response.json())
