# SPDX-License-Identifier: Apache-2.0
"""What a task instance's page is told of its run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.server import Emulator
from tests.plugins.conftest import BUSINESS
from tests.plugins.instances import CONNECTION, Instances, dag_run_of
from tests.plugins.served import ServedAirflow, task_path

if TYPE_CHECKING:
    from tests.support.dag_runs import DagRunner

RENDERED = {"agentruns_conn_id": CONNECTION}


def labels(steps: list[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    """Give the steps in order, each with how deep it is."""
    for step in steps:
        yield 0, step["label"]
        for depth, label in labels(step["steps"]):
            yield depth + 1, label


def test_a_real_tasks_run_is_shown_with_steps_artifacts_and_its_page(
    reader: httpx.Client, run_dag: DagRunner, service: Emulator
) -> None:
    result = run_dag(f'AgentRunOperator(task_id="go", agent="slow", business_id="{BUSINESS}", poll_interval=0.1)')
    assert result.state == "success"
    run_id = result.xcom("go", "run_id")
    shown = reader.get(task_path(result.dag_id, dag_run_of(result.dag_id), "go")).json()
    run = shown["run"]
    assert (run["id"], run["agent"], run["status"], run["finished"]) == (run_id, "slow", "completed", True)
    assert list(labels(run["steps"]))[:4] == [
        (0, "Plans the research"),
        (0, "Researches the company"),
        (1, "Reads the registry of companies"),
        (1, "Reads what is on the web"),
    ]
    assert (2, "Finds the company's pages") in list(labels(run["steps"]))
    [artifact] = run["artifacts"]
    assert (artifact["title"], artifact["confidence"]) == ("Research", "high")
    assert shown["run_page"] == f"https://runs.example.com/{run_id}"
    assert shown["error"] is None
    # The run has ended, and the task too: nothing changes any more.
    assert shown["ask_again_after"] is None


def test_where_rendered_fields_are_removed_the_dag_says_which_connection(
    reader: httpx.Client, run_dag: DagRunner
) -> None:
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    result = run_dag(f'AgentRunOperator(task_id="go", agent="instant", business_id="{BUSINESS}")')
    with create_session() as session:
        session.execute(delete(RenderedTaskInstanceFields).where(RenderedTaskInstanceFields.dag_id == result.dag_id))
    shown = reader.get(task_path(result.dag_id, dag_run_of(result.dag_id), "go")).json()
    assert shown["run"]["id"] == result.xcom("go", "run_id")


def test_a_deferred_tasks_run_is_that_of_its_trigger(
    reader: httpx.Client, instances: Instances, run_of: Callable[..., Run]
) -> None:
    run = run_of("needs_approval", "interrupted")
    place = instances.task("waits", state="deferred", trigger={"run_id": run.id, "agentruns_conn_id": CONNECTION})
    shown = reader.get(task_path(*place)).json()
    assert (shown["run"]["id"], shown["run"]["status"]) == (run.id, "interrupted")
    assert shown["ask_again_after"] > 0


def test_what_was_started_counts_more_than_what_was_rendered(
    reader: httpx.Client, instances: Instances, run_of: Callable[..., Run]
) -> None:
    run = run_of("instant", "completed")
    place = instances.task("waits", xcoms={"run_id": run.id}, rendered={**RENDERED, "run_id": "another"})
    assert reader.get(task_path(*place)).json()["run"]["id"] == run.id


def test_each_mapped_task_has_its_own_run(
    reader: httpx.Client, instances: Instances, run_of: Callable[..., Run]
) -> None:
    runs = [run_of("instant", "completed"), run_of("fails", "error")]
    dag_run = instances.dag_run("mapped")
    for index, run in enumerate(runs):
        instances.task("mapped", dag_run, map_index=index, rendered={**RENDERED, "run_id": run.id})
    for index, run in enumerate(runs):
        assert reader.get(task_path("mapped", dag_run, "wait", index)).json()["run"]["id"] == run.id
    for no_index in ("{MAP_INDEX}", "-1", "7", "9" * 5_000, "x"):
        assert reader.get(task_path("mapped", dag_run, "wait", no_index)).status_code == 404


def test_questions_lead_to_the_forms_that_show_them(
    reader: httpx.Client, instances: Instances, run_of: Callable[..., Run]
) -> None:
    run = run_of("two_questions", "interrupted")
    first, second = run.interrupts
    place = instances.task("asks", xcoms={"run_id": run.id}, rendered=RENDERED)
    review = {"task_id": "review", "operator": "AgentRunReviewOperator", "state": "awaiting_input"}
    instances.task(*place[:2], **review, map_index=0, form={"subject": "First?", "interrupt_id": first["id"]})
    instances.task(
        *place[:2], **review, map_index=1, form={"subject": "?", "interrupt_id": second["id"], "answered": True}
    )
    one, two = reader.get(task_path(*place)).json()["questions"]
    assert (one["id"], one["label"]) == (first["id"], first["value"]["label"])
    assert (one["form"]["task_id"], one["form"]["map_index"], one["form"]["dag_run_id"]) == ("review", 0, place[1])
    # A form that is answered is none to be answered.
    assert (two["id"], two["form"]) == (second["id"], None)


def test_the_trail_of_answers_is_that_of_the_run(
    reader: httpx.Client, instances: Instances, run_of: Callable[..., Run]
) -> None:
    run = run_of("instant", "completed")
    place = instances.task("answered", xcoms={"run_id": run.id}, rendered=RENDERED)
    given = {
        "run_id": run.id, "interrupt_id": "int-1", "label": "Shall it?", "by": "person",
        "responded_by": {"id": "7", "name": "Ada"}, "responded_at": "2026-01-31T12:00:00Z",
        "chosen_options": ["Approve"], "sent": {"decision": "approve"}, "delivery": "confirmed", "status": "running",
    }  # fmt: skip
    trails = [given, {**given, "run_id": "another"}, "no trail at all", ["nor", "this"]]
    for index, trail in enumerate(trails):
        instances.task(*place[:2], task_id="review", map_index=index, state="success", xcoms={"trail": trail})
    [answer] = reader.get(task_path(*place)).json()["trail"]
    assert (answer["who"], answer["chosen"], answer["at"]) == ("Ada", ["Approve"], "2026-01-31T12:00:00Z")
    assert (answer["task_id"], answer["map_index"], answer["delivery"]) == ("review", 0, "confirmed")
    assert '"decision": "approve"' in answer["sent"]


@pytest.mark.parametrize(
    ("state", "operator", "rendered", "is_agent_task"),
    [("queued", "AgentRunSensor", None, True), ("running", "MySensor", RENDERED, True), ("success", "Bash", {}, False)],
)
def test_a_task_without_a_run_says_whether_there_may_be_one(
    reader: httpx.Client,
    instances: Instances,
    state: str,
    operator: str,
    rendered: dict[str, str] | None,
    is_agent_task: bool,
) -> None:
    place = instances.task("early", state=state, operator=operator, rendered=rendered)
    shown = reader.get(task_path(*place)).json()
    assert (shown["run"], shown["task"]["run_id"], shown["task"]["is_agent_task"]) == (None, None, is_agent_task)
    assert (shown["ask_again_after"] is None) == (state == "success")


@pytest.mark.parametrize("unusable", ["{{ ti.xcom_pull('start') }}", "***", "", 7])
def test_what_is_no_run_id_is_not_asked_for(
    reader: httpx.Client, instances: Instances, service: Emulator, unusable: Any
) -> None:
    place = instances.task("early", rendered={**RENDERED, "run_id": unusable})
    before = len(service.requests)
    assert reader.get(task_path(*place)).json()["task"]["run_id"] is None
    assert len(service.requests) == before


def test_a_task_that_is_not_there_is_not_found(reader: httpx.Client) -> None:
    assert reader.get(task_path("nowhere", "nothing", "nobody")).status_code == 404


def test_a_service_that_cannot_be_reached_leaves_what_airflow_knows(
    reader: httpx.Client, instances: Instances, served: ServedAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_GONE", "agentruns://:mk_test_secret@127.0.0.1:1/http")
    place = instances.task("cut_off", rendered={"agentruns_conn_id": "gone", "run_id": "run-1"})
    instances.task(*place[:2], task_id="ask", state="awaiting_input", form={"subject": "Sure?", "interrupt_id": "i"})
    answer = reader.get(task_path(*place))
    shown = answer.json()
    assert shown["run"] is None
    assert shown["error"]["may_pass"]
    assert "mk_test_secret" not in answer.text
    assert [(one["label"], one["form"]["task_id"]) for one in shown["questions"]] == [("Sure?", "ask")]
    assert shown["ask_again_after"] > 0


def test_a_connection_that_is_not_there_is_named(reader: httpx.Client, instances: Instances) -> None:
    place = instances.task("cut_off", rendered={"agentruns_conn_id": "nowhere_to_be_found", "run_id": "run-1"})
    assert "nowhere_to_be_found" in reader.get(task_path(*place)).json()["error"]["message"]


def test_a_run_that_could_not_be_read_is_asked_for_again_though_its_task_has_ended(
    reader: httpx.Client, instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_GONE_TOO", "agentruns://:mk_test_secret@127.0.0.1:1/http")
    place = instances.task("ended", state="failed", rendered={"agentruns_conn_id": "gone_too", "run_id": "run-1"})
    assert reader.get(task_path(*place)).json()["ask_again_after"] > 0
    nowhere = instances.task("ended", state="failed", rendered={"agentruns_conn_id": CONNECTION, "run_id": "run-1"})
    shown = reader.get(task_path(*nowhere)).json()
    # There is no such run, and there will be none.
    assert (shown["error"]["may_pass"], shown["ask_again_after"]) == (False, None)
