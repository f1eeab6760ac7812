# SPDX-License-Identifier: Apache-2.0
"""What goes wrong while people answer: nothing is answered twice, nothing wrongly, nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_provider_agentruns.emulator.server import Emulator
from tests.standalone.people import Review, answers, interrupted, review
from tests.support.airflow_versions import FORM_STATE, HAS_STATE_STORE, needs_state_store, without_state_store
from tests.support.standalone import Standalone
from tests.support.wire import Wire


def killed_with_the_answer(
    airflow: Standalone, emulator: Emulator, wire: Wire, expected: str
) -> tuple[Review, str, str, dict[str, Any]]:
    """Have a worker killed right after its answer, which the service gets once; return all ids, and what was sent."""
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval")
    asked.shown()
    wire.once("POST", f"/v1/runs/{run_id}/resume", "kill the client before its answer")
    asked.answer("Approve")
    airflow.wait_for_dag("review", asked.dag_run, expected)
    assert wire.count("POST", f"/v1/runs/{run_id}/resume") == 1
    [(answered, sent)] = answers(emulator, run_id)
    assert (answered, sent["decision"]) == (interrupt_id, "approve")
    return asked, run_id, interrupt_id, sent


@needs_state_store
def test_a_worker_killed_between_the_post_and_its_response_has_answered_once(
    airflow: Standalone, emulator: Emulator, wire: Wire
) -> None:
    asked, _, _, sent = killed_with_the_answer(airflow, emulator, wire, "success")
    assert asked.ti["try_number"] >= 2
    assert asked.xcom()["responded_by"] == {"id": "Anonymous", "name": "Anonymous"}
    assert asked.xcom("trail")["sent"] == sent
    assert "it is not sent again" in asked.log(2)


@without_state_store
def test_without_a_memory_a_worker_killed_between_the_post_and_its_response_answers_nothing_more(
    airflow: Standalone, emulator: Emulator, wire: Wire
) -> None:
    # The next try cannot tell its own answer from somebody else's.
    asked, run_id, interrupt_id, _ = killed_with_the_answer(airflow, emulator, wire, "failed")
    assert f"Interrupt {interrupt_id!r} of agent run {run_id} is not pending" in asked.log(2)


def test_an_answer_to_a_question_whose_id_asks_something_else_by_now_is_refused(
    airflow: Standalone, emulator: Emulator, wire: Wire
) -> None:
    asked, run_id, _ = review(airflow, emulator, "needs_approval")
    asked.shown()
    use_id_again(emulator, run_id, {"label": "Shall all be deleted?"})
    asked.answer("Approve")
    airflow.wait_for_dag("review", asked.dag_run, "failed")
    assert asked.ti["try_number"] == 1
    assert "asks something else now" in asked.log()
    assert wire.count("POST", f"/v1/runs/{run_id}/resume") == 0


def test_so_is_one_that_a_worker_died_with(airflow: Standalone, emulator: Emulator, wire: Wire) -> None:
    asked, run_id, _ = review(airflow, emulator, "needs_approval", "dies_on_waking")
    asked.shown()
    asked.answer("Approve")
    # The worker is dead by now, and the next try has not begun to look up what was answered.
    airflow.wait_for(lambda: asked.ti["state"] != FORM_STATE, "the end of the wait", 60)
    use_id_again(emulator, run_id, {"label": "Shall all be deleted?"})
    airflow.wait_for_dag("dies_on_waking", asked.dag_run, "failed")
    log = asked.log(asked.ti["try_number"])
    assert "asks something else now" in log or "belongs to another question than interrupt" in log
    assert "Nothing" in log
    assert wire.count("POST", f"/v1/runs/{run_id}/resume") == 0


def test_a_worker_killed_between_the_answer_and_the_post_answers_in_its_next_try_without_asking_again(
    airflow: Standalone, emulator: Emulator, wire: Wire
) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval")
    asked.shown()
    # The first thing that the woken worker does on the wire is to look at the run.
    wire.once("GET", f"/v1/runs/{run_id}", "kill the client before its answer")
    asked.answer("Reject")
    airflow.wait_for_dag("review", asked.dag_run)
    [(answered, sent)] = answers(emulator, run_id)
    assert (answered, sent["decision"]) == (interrupt_id, "reject")
    assert asked.ti["try_number"] >= 2
    assert asked.xcom()["chosen_options"] == ["Reject"]


def test_an_answer_that_a_worker_died_with_before_it_could_keep_it_is_looked_up(
    airflow: Standalone, emulator: Emulator
) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval", "dies_on_waking")
    asked.shown()
    asked.answer("Reject")
    airflow.wait_for_dag("dies_on_waking", asked.dag_run)
    assert [(key, sent["decision"]) for key, sent in answers(emulator, run_id)] == [(interrupt_id, "reject")]
    assert asked.ti["try_number"] >= 2
    assert asked.xcom()["responded_by"] == {"id": "Anonymous", "name": "Anonymous"}


def test_a_retry_that_finds_no_answer_shows_the_form_on(airflow: Standalone, emulator: Emulator, wire: Wire) -> None:
    run_id, [question] = interrupted(airflow, emulator, "needs_approval")
    dag_run = airflow.start_dag("dies_after_asking", {"run_id": run_id, "interrupt_id": question["id"]})
    asked = Review(airflow, "dies_after_asking", dag_run)
    assert asked.shown()["subject"] == question["value"]["label"]
    assert asked.ti["try_number"] >= 2
    asked.answer("Approve")
    airflow.wait_for_dag("dies_after_asking", dag_run)
    assert [(key, sent["decision"]) for key, sent in answers(emulator, run_id)] == [(question["id"], "approve")]


def test_an_interrupt_that_was_answered_elsewhere_meanwhile_is_not_answered_again(
    airflow: Standalone, emulator: Emulator, wire: Wire
) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval")
    asked.shown()
    emulator.service.answer(run_id, interrupt_id, "reject")
    asked.answer("Approve")
    airflow.wait_for_dag("review", asked.dag_run, "failed")
    assert asked.ti["try_number"] == 1
    assert f"Interrupt {interrupt_id!r} of agent run {run_id} is not pending" in asked.log()
    assert "Nothing was sent" in asked.log()
    assert wire.count("POST", f"/v1/runs/{run_id}/resume") == 0


def test_of_two_people_who_answer_at_once_airflow_takes_the_first(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval")
    asked.shown()
    assert [asked.try_to_answer("Approve"), asked.try_to_answer("Reject")] == [200, 409]
    airflow.wait_for_dag("review", asked.dag_run)
    assert [(key, sent["decision"]) for key, sent in answers(emulator, run_id)] == [(interrupt_id, "approve")]


def test_an_answer_that_names_another_interrupt_is_refused(airflow: Standalone, emulator: Emulator, wire: Wire) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval")
    asked.shown()
    asked.answer("Approve", interrupt_id="int_another")
    airflow.wait_for_dag("review", asked.dag_run, "failed")
    assert asked.ti["try_number"] == 1
    # Before 3.3, Airflow checks the fields as well, and first.
    assert (
        "The answer belongs to another form than that of interrupt" if HAS_STATE_STORE else "does not fit the form"
    ) in asked.log()
    assert wire.count("POST", f"/v1/runs/{run_id}/resume") == 0
    # Cleared, the task asks again: nothing was decided.
    clear(asked)
    asked.shown()
    asked.answer("Approve")
    airflow.wait_for_dag("review", asked.dag_run)
    assert [key for key, _ in answers(emulator, run_id)] == [interrupt_id]


def test_a_cleared_task_whose_interrupt_is_another_one_by_now_shows_and_sends_nothing(
    airflow: Standalone, emulator: Emulator, wire: Wire
) -> None:
    run_id, [first] = interrupted(airflow, emulator, "two_rounds")
    dag_run = airflow.start_dag("newest_question", {"run_id": run_id})
    asked = Review(airflow, "newest_question", dag_run)
    assert asked.shown()["subject"] == first["value"]["label"]
    asked.answer("Approve")
    airflow.wait_for_dag("newest_question", dag_run)
    airflow.wait_for(lambda: emulator.service.get_run(run_id).interrupts, "a second question", 10)
    clear(asked, upstream=True)
    airflow.wait_for_dag("newest_question", dag_run, "failed")
    why = "cannot show interrupt" if HAS_STATE_STORE else "this one has the form of another question"
    assert why in asked.log(asked.ti["try_number"])
    assert wire.count("POST", f"/v1/runs/{run_id}/resume") == 1


def test_no_answer_in_time_fails_the_task_and_sends_nothing(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, _ = review(airflow, emulator, "needs_approval", "no_defaults")
    airflow.wait_for_dag("no_defaults", asked.dag_run, "failed")
    assert "HITLTimeoutError" in asked.log()
    assert answers(emulator, run_id) == []


def test_no_answer_in_time_takes_the_dag_authors_default(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval", "defaults")
    airflow.wait_for_dag("defaults", asked.dag_run)
    assert [(key, sent["decision"]) for key, sent in answers(emulator, run_id)] == [(interrupt_id, "reject")]
    assert asked.xcom()["responded_by"] is None
    assert asked.xcom("trail")["by"] == "timeout"


def test_scheduler_and_triggerer_may_die_while_a_form_waits(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval")
    asked.shown()
    for component in ("scheduler", "triggerer"):
        airflow.kill_and_restart(component)
    assert asked.form["responded_at"] is None
    asked.answer("Approve")
    airflow.wait_for_dag("review", asked.dag_run)
    assert [key for key, _ in answers(emulator, run_id)] == [interrupt_id]


def use_id_again(emulator: Emulator, run_id: str, value: dict[str, Any]) -> None:
    """Have a run ask something else under the id of the question that it asks."""
    [question] = emulator.service.runs[run_id].questions
    emulator.service.runs[run_id].questions[0] = replace(question, value=value)


def clear(asked: Review, *, upstream: bool = False) -> None:
    """Clear a task, as a person does in Airflow's page."""
    asked.airflow.call(
        "POST",
        f"/dags/{asked.dag_id}/clearTaskInstances",
        json={
            "dry_run": False,
            "dag_run_id": asked.dag_run,
            "task_ids": [asked.task_id],
            "only_failed": False,
            "include_upstream": upstream,
            "reset_dag_runs": True,
        },
    )
