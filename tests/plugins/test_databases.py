# SPDX-License-Identifier: Apache-2.0
"""Every data endpoint of the pages, and the webhook endpoint, work on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from airflow_provider_agentruns.emulator.runs import Run
from tests.events.sender import Sender, event
from tests.plugins.instances import CONNECTION, Instances
from tests.plugins.served import ServedAirflow, task_path
from tests.support.airflow_versions import needs_asset_state_store

RENDERED = {"agentruns_conn_id": CONNECTION}

pytestmark = pytest.mark.usefixtures("database")


def test_all_endpoints_are_tested_here() -> None:
    from fastapi.routing import APIRoute

    from airflow_provider_agentruns.plugins.app import get_app

    paths = {route.path for route in get_app().routes if isinstance(route, APIRoute)}
    assert paths == {"/", "/task", "/api/waiting", "/api/dags/{dag_id}/task", "/webhooks/{conn_id}"}


def test_overview(reader: httpx.Client, instances: Instances, run_of: Callable[..., Run]) -> None:
    run = run_of("needs_approval", "interrupted")
    dag_run = instances.dag_run("b_mapped")
    for index in range(2):
        instances.task("b_mapped", dag_run, map_index=index, rendered={**RENDERED, "run_id": run.id})
    instances.task("a_deferred", state="deferred", trigger={**RENDERED, "run_id": run.id})
    instances.task("starts", operator="AgentRunOperator", rendered={**RENDERED, "agent": "x"}, xcoms={"run_id": run.id})
    instances.task("asks", state="awaiting_input", ago=600, form={"subject": "Sure?", "interrupt_id": "int-1"})
    instances.task("other", operator="BashOperator", rendered={"bash_command": "100% sleep_1"})
    shown = reader.get("/agent-runs/api/waiting").raise_for_status().json()
    assert shown["rows"][0]["dag_id"] == "asks"
    assert (shown["total"], shown["dag_ids"]) == (5, ["a_deferred", "asks", "b_mapped", "starts"])
    one = reader.get("/agent-runs/api/waiting", params={"dag_id": "b_mapped"}).raise_for_status().json()
    assert [row["map_index"] for row in one["rows"]] == [0, 1]


def test_overview_with_more_tasks_than_it_shows(
    reader: httpx.Client, instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_agentruns.plugins.routes import waiting

    monkeypatch.setattr(waiting, "MAX_TASKS", 2)
    for number in range(3):
        instances.task(f"long_{number}", ago=100 - number)
    shown = reader.get("/agent-runs/api/waiting").raise_for_status().json()
    assert ([row["dag_id"] for row in shown["rows"]], shown["total"]) == (["long_0", "long_1"], 3)
    narrowed = reader.get("/agent-runs/api/waiting", params={"dag_id": "long_2"}).json()
    assert ([row["dag_id"] for row in narrowed["rows"]], narrowed["total"]) == (["long_2"], 1)
    assert narrowed["dag_ids"] == shown["dag_ids"] == ["long_0", "long_1", "long_2"]


def test_task_with_questions_and_answers(
    reader: httpx.Client, instances: Instances, run_of: Callable[..., Run]
) -> None:
    run = run_of("needs_approval", "interrupted")
    place = instances.task("asks", rendered={**RENDERED, "run_id": run.id})
    form = {"subject": "Sure?", "interrupt_id": run.interrupts[0]["id"]}
    instances.task(*place[:2], task_id="review", state="awaiting_input", form=form)
    trail = {"run_id": run.id, "responded_by": {"name": "Ada"}, "sent": {"decision": "approve"}}
    instances.task(*place[:2], task_id="earlier", state="success", xcoms={"trail": trail})
    shown = reader.get(task_path(*place)).raise_for_status().json()
    assert shown["run"]["id"] == run.id
    assert [question["form"]["task_id"] for question in shown["questions"]] == ["review"]
    assert [answer["who"] for answer in shown["trail"]] == ["Ada"]


def test_task_whose_rendered_fields_are_deleted(reader: httpx.Client, instances: Instances) -> None:
    place = instances.task("old", operator="AgentRunOperator", state="success", xcoms={"run_id": "r-1"})
    shown = reader.get(task_path(*place)).raise_for_status().json()
    assert (shown["task"]["run_id"], shown["run"]) == ("r-1", None)
    assert "rendered fields" in shown["error"]["message"]


@needs_asset_state_store
def test_webhook(sender: Sender, request: pytest.FixtureRequest, served: ServedAirflow) -> None:
    from airflow_provider_agentruns.events.asset_uris import agent_run_asset

    assets = request.getfixturevalue("assets")
    asset = assets.add(agent_run_asset("hooked"))
    sent = event("completed", "r-1")
    for _ in range(2):
        assert sender.send(sent).status_code == 204
    assert [payload["run_id"] for payload in assets.payloads(asset)] == ["r-1"]
