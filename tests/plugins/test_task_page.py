# SPDX-License-Identifier: Apache-2.0
"""What the page of one task instance shows."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.utils.session import create_session
from sqlalchemy import delete

from airflow_provider_agentruns.emulator.server import Emulator
from tests.plugins.conftest import RunOf
from tests.plugins.instances import CONNECTION, Instances
from tests.plugins.served import task_path
from tests.support import BUSINESS
from tests.support.airflow_versions import FORM_STATE
from tests.support.dag_runs import DagRunner
from tests.support.scripted_server import Received, Reply, ScriptedServer, answer, sent

RENDERED = {"agentruns_conn_id": CONNECTION}

#: A task that starts its run.
STARTS: dict[str, Any] = {"operator": "AgentRunOperator", "rendered": {**RENDERED, "agent": "instant", "run_id": ""}}


@pytest.mark.full
def test_steps_and_artifacts_of_a_real_tasks_run(reader: httpx.Client, run_dag: DagRunner, service: Emulator) -> None:
    result = run_dag(f'AgentRunOperator(task_id="go", agent="slow", business_id="{BUSINESS}", poll_interval=0.1)')
    assert result.state == "success"
    place = result.dag_id, result.run_id, "go"
    shown = reader.get(task_path(*place)).json()
    run = shown["run"]
    assert (run["id"], run["status"], run["finished"]) == (result.xcom("go", "run_id"), "completed", True)
    assert [step["label"] for step in run["steps"]][:2] == ["Plans the research", "Researches the company"]
    assert run["steps"][1]["steps"][0]["label"] == "Reads the company registry"
    [artifact] = run["artifacts"]
    assert (artifact["title"], artifact["confidence"]) == ("Research", "medium")
    # Neither the run nor the task can change anymore.
    assert (shown["error"], shown["refresh_after"]) == (None, None)

    # Airflow deletes the rendered fields of old DAG runs. XCom and the DAG's code still name the run and connection.
    with create_session() as session:
        session.execute(delete(RenderedTaskInstanceFields).where(RenderedTaskInstanceFields.dag_id == result.dag_id))
    assert reader.get(task_path(*place)).json()["run"]["id"] == run["id"]


@pytest.mark.usefixtures("database")
def test_a_task_whose_rendered_fields_are_deleted(reader: httpx.Client, instances: Instances) -> None:
    place = instances.task("old", operator="AgentRunOperator", state="success", xcoms={"run_id": "r-1"})
    shown = reader.get(task_path(*place)).json()
    assert (shown["task"]["run_id"], shown["run"]) == ("r-1", None)
    assert "rendered fields" in shown["error"]["message"]


@pytest.mark.parametrize(
    "task",
    [
        {"rendered": {**RENDERED, "run_id": "its-own"}},
        {"state": "deferred", "trigger": {**RENDERED, "run_id": "its-own"}},
        {**STARTS, "rendered": {**RENDERED, "agent": "instant", "run_id": "its-own"}},
        {"operator": "AgentRunSensor", "rendered": RENDERED},
        {"operator": "BashOperator", "rendered": RENDERED},
    ],
)
def test_xcom_cannot_replace_a_run(
    reader: httpx.Client, instances: Instances, run_of: RunOf, task: dict[str, Any]
) -> None:
    """Otherwise anyone who can write XCom of one DAG could read every run of the account."""
    other = run_of("instant", "completed")
    place = instances.task("waits", **task, xcoms={"run_id": other.id})
    response = reader.get(task_path(*place))
    assert other.id not in response.text
    assert response.json()["task"]["run_id"] in ("its-own", None)


@pytest.mark.parametrize(("agent", "status", "hours"), [("instant", "completed", 1), ("fails", "error", 0)])
def test_xcom_names_only_a_run_that_the_task_can_have_started(
    reader: httpx.Client, instances: Instances, run_of: RunOf, agent: str, status: str, hours: int
) -> None:
    """The run is not older than the DAG run, and its agent is the task's."""
    run = run_of(agent, status)
    dag_run = instances.dag_run("starts", datetime.now(UTC) + timedelta(hours=hours))
    place = instances.task("starts", dag_run, **STARTS, xcoms={"run_id": run.id})
    shown = reader.get(task_path(*place)).json()
    assert shown["run"] is None
    assert "XCom value run_id" in shown["error"]["message"]
    rows = {row["dag_id"]: row for row in reader.get("/agent-runs/api/waiting").json()["rows"]}
    assert (rows["starts"]["status"], rows["starts"]["agent"]) == (None, "instant")


def test_each_mapped_task_shows_its_own_run(reader: httpx.Client, instances: Instances, run_of: RunOf) -> None:
    runs = [run_of("instant", "completed"), run_of("fails", "error")]
    dag_run = instances.dag_run("mapped")
    for index, run in enumerate(runs):
        instances.task("mapped", dag_run, map_index=index, rendered={**RENDERED, "run_id": run.id})
    for index, run in enumerate(runs):
        shown = reader.get(task_path("mapped", dag_run, "wait", index)).json()
        assert (shown["run"]["id"], shown["run_page"]) == (run.id, f"https://runs.example.com/{run.id}")
    for no_index in ("{MAP_INDEX}", "-1", "7", "9" * 5_000, "x"):
        assert reader.get(task_path("mapped", dag_run, "wait", no_index)).status_code == 404


@pytest.mark.usefixtures("database")
def test_questions_link_to_their_forms(reader: httpx.Client, instances: Instances, run_of: RunOf) -> None:
    run = run_of("two_questions", "interrupted")
    first, second = run.interrupts
    place = instances.task("asks", rendered={**RENDERED, "run_id": run.id})
    review: dict[str, Any] = {"task_id": "review", "operator": "AgentRunReviewOperator", "state": "awaiting_input"}
    instances.task(*place[:2], **review, map_index=0, form={"subject": "First?", "interrupt_id": first["id"]})
    instances.task(
        *place[:2], **review, map_index=1, form={"subject": "?", "interrupt_id": second["id"], "answered": 1.0}
    )
    one, two = reader.get(task_path(*place)).json()["questions"]
    assert (one["id"], one["label"]) == (first["id"], first["value"]["label"])
    assert (one["form"]["task_id"], one["form"]["map_index"], one["form"]["dag_run_id"]) == ("review", 0, place[1])
    # The form of the second question is answered already.
    assert (two["id"], two["form"]) == (second["id"], None)


@pytest.mark.parametrize("state", ["failed", "success", "skipped", "removed", "running", "queued", "up_for_retry"])
def test_a_form_whose_answer_has_no_effect_is_not_shown(
    reader: httpx.Client, instances: Instances, run_of: RunOf, state: str
) -> None:
    """Airflow keeps the form of a task that was marked or cleared, and accepts an answer."""
    run = run_of("needs_approval", "interrupted")
    rendered = {**RENDERED, "run_id": run.id}
    form = {"subject": "Sure?", "interrupt_id": run.interrupts[0]["id"]}
    place = instances.task("left", operator="AgentRunReviewOperator", state=state, rendered=rendered, form=form)
    [question] = reader.get(task_path(*place)).json()["questions"]
    assert question["form"] is None
    rows = reader.get("/agent-runs/api/waiting").json()["rows"]
    assert [row["has_form"] for row in rows if row["dag_id"] == "left"] in ([False], [])


def test_only_the_form_of_the_same_run_is_shown(reader: httpx.Client, instances: Instances, run_of: RunOf) -> None:
    """Interrupts of different runs may have the same ID."""
    run = run_of("needs_approval", "interrupted")
    rendered = {**RENDERED, "run_id": run.id}
    place = instances.task("asks", rendered=rendered)
    form = {"subject": "?", "interrupt_id": run.interrupts[0]["id"]}
    review: dict[str, Any] = {"task_id": "review", "operator": "AgentRunReviewOperator", "state": FORM_STATE}
    others = {**rendered, "run_id": "another"}, {**rendered, "agentruns_conn_id": "another"}
    for index, fields in enumerate([others[0], rendered, others[1]]):
        instances.task(*place[:2], **review, map_index=index, rendered=fields, form=form)
    [question] = reader.get(task_path(*place)).json()["questions"]
    assert question["form"]["map_index"] == 1


@pytest.mark.usefixtures("database")
def test_the_trail_holds_the_answers_to_this_run(reader: httpx.Client, instances: Instances, run_of: RunOf) -> None:
    run = run_of("instant", "completed")
    place = instances.task("answered", rendered={**RENDERED, "run_id": run.id})
    given: dict[str, Any] = {
        "run_id": run.id, "responded_by": {"id": "7", "name": "Ada"}, "responded_at": "2026-01-31T12:00:00Z",
        "chosen_options": ["Approve"], "sent": {"decision": "approve"}, "delivery": "confirmed",
    }  # fmt: skip
    given["superseded"] = [{"chosen_options": ["Reject"], "responded_by": {"id": "8", "name": "Bob"}}, "no decision"]
    trails = [given, {**given, "run_id": "another"}, "no trail at all"]
    for index, trail in enumerate(trails):
        instances.task(*place[:2], task_id="review", map_index=index, state="success", xcoms={"trail": trail})
    [shown] = reader.get(task_path(*place)).json()["trail"]
    assert (shown["who"], shown["chosen"], shown["at"]) == ("Ada", ["Approve"], "2026-01-31T12:00:00Z")
    assert (shown["task_id"], shown["map_index"], shown["delivery"]) == ("review", 0, "confirmed")
    assert [(decision["who"], decision["chosen"]) for decision in shown["superseded"]] == [("Bob", ["Reject"])]
    assert '"decision": "approve"' in shown["sent"]


def test_a_failed_run_shows_the_failing_step(reader: httpx.Client, instances: Instances, run_of: RunOf) -> None:
    place = instances.task("fails", rendered={**RENDERED, "run_id": run_of("fails", "error").id})
    assert reader.get(task_path(*place)).json()["run"]["failure"] == (
        "The run ended in error at the step 'The company registry cannot be reached' (registry_error): "
        "No response after three tries"
    )
    place = instances.task("works", rendered={**RENDERED, "run_id": run_of("instant", "completed").id})
    assert reader.get(task_path(*place)).json()["run"]["failure"] is None


@pytest.mark.parametrize(
    ("task", "is_agent_task"),
    [
        ({"state": "queued"}, True),
        ({"operator": "MySensor", "rendered": RENDERED}, True),
        ({"operator": "Bash", "rendered": {}, "state": "success"}, False),
    ],
)
def test_a_task_without_a_run(
    reader: httpx.Client, instances: Instances, task: dict[str, Any], is_agent_task: bool
) -> None:
    shown = reader.get(task_path(*instances.task("early", **task))).json()
    assert (shown["run"], shown["task"]["run_id"]) == (None, None)
    assert shown["task"]["is_agent_task"] == (shown["refresh_after"] is not None) == is_agent_task


@pytest.mark.parametrize(
    "value", ["{{ ti.xcom_pull('start') }}", "***", 7, "x" * 300, "\x1b[31mr", "s3://bucket/x.json", "../x", "a b"]
)
def test_a_value_that_is_no_run_id_is_not_requested(
    reader: httpx.Client, instances: Instances, service: Emulator, value: Any
) -> None:
    place = instances.task("early", rendered={**RENDERED, "run_id": value})
    before = len(service.requests)
    assert reader.get(task_path(*place)).json()["task"]["run_id"] is None
    assert len(service.requests) == before


def test_an_unreachable_service_leaves_what_airflow_knows(
    reader: httpx.Client, instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_GONE", "agentruns://:mk_test_secret@127.0.0.1:1/http")
    place = instances.task("cut_off", state="failed", rendered={"agentruns_conn_id": "gone", "run_id": "run-1"})
    instances.task(*place[:2], task_id="ask", state="awaiting_input", form={"subject": "Sure?", "interrupt_id": "i"})
    response = reader.get(task_path(*place))
    shown = response.json()
    assert shown["run"] is None
    assert "mk_test_secret" not in response.text
    assert [(one["label"], one["form"]["task_id"]) for one in shown["questions"]] == [("Sure?", "ask")]
    # The task cannot change anymore, but the service may come back.
    assert shown["refresh_after"] > 0


# A connection that is missing may be added.
@pytest.mark.parametrize(("conn_id", "message", "may_pass"), [(CONNECTION, "404", False), ("nowhere", "nowhere", True)])
def test_a_page_tries_again_after_an_error_that_may_pass(
    reader: httpx.Client, instances: Instances, conn_id: str, message: str, may_pass: bool
) -> None:
    place = instances.task("ended", state="failed", rendered={"agentruns_conn_id": conn_id, "run_id": "run-1"})
    shown = reader.get(task_path(*place)).json()
    assert message in shown["error"]["message"]
    assert (shown["refresh_after"] is not None) is may_pass


@pytest.mark.parametrize(
    "steps",
    [b"{}," * 1_000_000 + b"{}", (b'{"label":"%b"},' % (b"x" * 150)) * 90_000 + b"{}"],
    ids=["3 MB of empty steps", "15 MB of steps"],
)
def test_a_run_with_too_many_steps_is_shown_without_them(
    reader: httpx.Client, instances: Instances, monkeypatch: pytest.MonkeyPatch, steps: bytes
) -> None:
    run: dict[str, Any] = {"id": "r-1", "status": "interrupted", "interrupts": [{"id": "i", "value": {"label": "?"}}]}

    def reply(request: Received) -> Reply:
        if "include" not in request.query:
            return answer(run)
        return sent(json.dumps(run).encode()[:-1] + b',"steps":[' + steps + b"]}", "application/json")

    with ScriptedServer(reply) as service:
        conn_id = f"large_{len(steps)}"
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", f"agentruns://:x@127.0.0.1:{service.port}/http")
        place = instances.task("large", rendered={"agentruns_conn_id": conn_id, "run_id": "r-1"})
        used = time.process_time()
        shown = reader.get(task_path(*place)).json()
        assert time.process_time() - used < 5
    assert shown["run"], shown["error"]
    assert (shown["run"]["status"], shown["run"]["steps"], shown["run"]["steps_too_large"]) == ("interrupted", [], True)
    assert [question["label"] for question in shown["questions"]] == ["?"]
