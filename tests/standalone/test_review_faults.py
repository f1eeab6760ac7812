# SPDX-License-Identifier: Apache-2.0
"""Faults while people answer: each question is answered once, and no answer reaches another question."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.standalone.people import Review, answers, decisions, interrupted, review
from tests.support.airflow_versions import FORM_STATE, HAS_STATE_STORE
from tests.support.client_killer import ClientKiller
from tests.support.standalone import Standalone


def test_a_worker_killed_between_the_post_and_its_response_has_answered_once(
    airflow: Standalone, emulator: Emulator, killer: ClientKiller
) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval")
    asked.shown()
    killer.kill_next("POST", f"/v1/runs/{run_id}/resume")
    asked.answer("Approve")
    # Without a state store, the next try does not know whose answer the agent has received.
    asked.wait_for_dag("success" if HAS_STATE_STORE else "failed")
    assert emulator.count("POST", f"/v1/runs/{run_id}/resume") == 1
    assert decisions(emulator, run_id) == [(interrupt_id, "approve")]
    assert asked.ti["try_number"] >= 2
    if HAS_STATE_STORE:
        assert asked.xcom()["responded_by"] == {"id": "Anonymous", "name": "Anonymous"}
        assert [asked.xcom("trail")["sent"]] == [sent for _, sent in answers(emulator, run_id)]


def test_workers_killed_between_a_persons_answer_and_the_post_answer_in_their_next_try(
    airflow: Standalone, emulator: Emulator, killer: ClientKiller
) -> None:
    dies_reading, its_run, its_question = review(airflow, emulator, "needs_approval")
    dies_on_waking, other_run, other_question = review(airflow, emulator, "needs_approval", "dies_on_waking")
    for asked in (dies_reading, dies_on_waking):
        asked.shown()
    # The resumed worker's first request reads the run.
    killer.kill_next("GET", f"/v1/runs/{its_run}")
    for asked in (dies_reading, dies_on_waking):
        asked.answer("Reject")
    for asked in (dies_reading, dies_on_waking):
        asked.wait_for_dag()
        assert asked.ti["try_number"] >= 2
        assert asked.xcom()["chosen_options"] == ["Reject"]
        assert asked.xcom()["responded_by"] == {"id": "Anonymous", "name": "Anonymous"}
    assert decisions(emulator, its_run) == [(its_question, "reject")]
    assert decisions(emulator, other_run) == [(other_question, "reject")]


def test_a_worker_killed_after_showing_the_form_leaves_it_answerable(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval", "dies_after_asking")
    asked.shown()
    assert asked.ti["try_number"] >= 2
    asked.answer("Approve")
    asked.wait_for_dag()
    assert decisions(emulator, run_id) == [(interrupt_id, "approve")]


def test_an_answer_to_a_question_that_has_changed_is_not_sent(airflow: Standalone, emulator: Emulator) -> None:
    changed, its_run, _ = review(airflow, emulator, "needs_approval")
    answered, other_run, interrupt_id = review(airflow, emulator, "needs_approval")
    for asked in (changed, answered):
        asked.shown()
    [question] = emulator.service.runs[its_run].questions
    emulator.service.runs[its_run].questions[0] = replace(question, value={"label": "Should everything be deleted?"})
    emulator.service.answer(other_run, interrupt_id, "reject")
    for asked in (changed, answered):
        asked.answer("Approve")
    for asked, run_id in ((changed, its_run), (answered, other_run)):
        asked.wait_for_dag("failed")
        assert emulator.count("POST", f"/v1/runs/{run_id}/resume") == 0
    assert f"Interrupt {interrupt_id!r} of agent run {other_run}" in answered.log(answered.ti["try_number"])


def test_airflow_accepts_the_first_of_two_answers(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval")
    asked.shown()
    asked.answer("Approve")
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        asked.answer("Reject")
    asked.wait_for_dag()
    assert decisions(emulator, run_id) == [(interrupt_id, "approve")]


def test_an_answer_that_names_another_interrupt_is_not_sent(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval")
    asked.shown()
    asked.answer("Approve", interrupt_id="int_another")
    asked.wait_for_dag("failed")
    assert emulator.count("POST", f"/v1/runs/{run_id}/resume") == 0
    # A cleared task asks again, because nothing was decided.
    asked.clear()
    asked.shown()
    asked.answer("Approve")
    asked.wait_for_dag()
    assert decisions(emulator, run_id) == [(interrupt_id, "approve")]


def test_a_decision_that_the_service_refused_is_sent_after_a_clear(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval", "no_retries")
    asked.shown()
    emulator.faults.add("401", "POST", f"/v1/runs/{run_id}/resume")
    asked.answer("Approve")
    asked.wait_for_dag("failed")
    emulator.faults.clear()
    trail = asked.xcom("trail")
    assert (trail["delivery"], trail["chosen_options"]) == ("not sent", ["Approve"])
    assert trail["responded_by"] == {"id": "Anonymous", "name": "Anonymous"}
    asked.clear()
    asked.wait_for_dag()
    assert decisions(emulator, run_id) == [(interrupt_id, "approve")]
    assert (asked.xcom("trail")["delivery"], asked.xcom("trail")["superseded"]) == ("confirmed", [])


def test_an_immediate_answer_arrives_without_retries_in_the_dag(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval", "no_retries")
    asked.wait_for(FORM_STATE)
    asked.answer("Approve")
    asked.wait_for_dag()
    assert decisions(emulator, run_id) == [(interrupt_id, "approve")]


def test_a_cleared_task_whose_interrupt_has_changed_shows_and_sends_nothing(
    airflow: Standalone, emulator: Emulator
) -> None:
    run_id, [first] = interrupted(airflow, emulator, "two_rounds")
    dag_run = airflow.start_dag("newest_question", {"run_id": run_id})
    asked = Review(airflow, "newest_question", dag_run)
    assert asked.shown()["subject"] == first["value"]["label"]
    asked.answer("Approve")
    airflow.wait_for_dag("newest_question", dag_run)
    airflow.wait_for(lambda: emulator.service.get_run(run_id).interrupts, "see a second question")
    asked.clear(upstream=True)
    asked.wait_for_dag("failed")
    assert emulator.count("POST", f"/v1/runs/{run_id}/resume") == 1


def test_without_an_answer_in_time_the_default_is_sent_or_the_task_fails(
    airflow: Standalone, emulator: Emulator
) -> None:
    default, its_run, interrupt_id = review(airflow, emulator, "needs_approval", "defaults")
    none, other_run, _ = review(airflow, emulator, "needs_approval", "no_defaults")
    default.wait_for_dag()
    assert decisions(emulator, its_run) == [(interrupt_id, "reject")]
    assert default.xcom()["responded_by"] is None
    assert default.xcom("trail")["by"] == "timeout"
    none.wait_for_dag("failed")
    assert "within the response_timeout of" in none.log(none.ti["try_number"])
    assert answers(emulator, other_run) == []


def test_a_form_survives_the_death_of_scheduler_and_triggerer(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval")
    asked.shown()
    for component in ("scheduler", "triggerer"):
        airflow.kill(component)
        airflow.start(component)
    assert asked.form["responded_at"] is None
    asked.answer("Approve")
    asked.wait_for_dag()
    assert decisions(emulator, run_id) == [(interrupt_id, "approve")]
