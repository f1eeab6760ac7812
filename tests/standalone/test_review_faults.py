# SPDX-License-Identifier: Apache-2.0
"""Faults while people answer: each question is answered once, and no answer reaches another question."""

from __future__ import annotations

from airflow_provider_agentruns.emulator.server import Emulator
from tests.standalone.people import answers, decisions, review
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


def test_a_worker_killed_between_a_persons_answer_and_the_post_answers_in_its_next_try(
    airflow: Standalone, emulator: Emulator, killer: ClientKiller
) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval")
    asked.shown()
    # The resumed worker's first request reads the run.
    killer.kill_next("GET", f"/v1/runs/{run_id}")
    asked.answer("Reject")
    asked.wait_for_dag()
    assert asked.ti["try_number"] >= 2
    assert asked.xcom()["chosen_options"] == ["Reject"]
    assert asked.xcom()["responded_by"] == {"id": "Anonymous", "name": "Anonymous"}
    assert decisions(emulator, run_id) == [(interrupt_id, "reject")]


def test_a_worker_killed_after_showing_the_form_leaves_it_answerable(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval", "dies_after_asking")
    asked.shown()
    assert asked.ti["try_number"] >= 2
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
