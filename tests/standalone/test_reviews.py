# SPDX-License-Identifier: Apache-2.0
"""People answer what agents ask, through Airflow's own forms."""

from __future__ import annotations

import pytest

from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.emulator.server import Emulator
from tests.standalone.conftest import RATED_ARTIFACT
from tests.standalone.people import CONSTANTS, Review, answers, interrupted, review
from tests.support.airflow_versions import FORM_STATE, HAS_STATE_STORE
from tests.support.standalone import Standalone


@pytest.mark.parametrize(("option", "word"), [("Approve", "approve"), ("Reject", "reject")])
def test_one_question_is_shown_answered_and_told_of(
    airflow: Standalone, emulator: Emulator, option: str, word: str
) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval")
    form = asked.shown()
    question = emulator.service.get_run(run_id).interrupts[0]
    assert form["subject"] == question["value"]["label"]
    assert form["options"] == ["Approve", "Reject"]
    assert question["value"]["artifacts"][0]["title"] in form["body"]
    assert form["params"]["interrupt_id"]["schema"]["const"] == interrupt_id
    # Nobody waits: no worker and, from Airflow 3.3 on, no trigger.
    assert asked.ti["state"] == FORM_STATE
    assert (asked.ti["trigger"] is None) is HAS_STATE_STORE

    asked.answer(option)
    airflow.wait_for_dag("review", asked.dag_run)
    [(answered, sent)] = answers(emulator, run_id)
    assert answered == interrupt_id
    assert (sent["decision"], sent["responded_by"]["id"]) == (word, "Anonymous")
    result = asked.xcom()
    assert result == {
        "run_id": run_id,
        "interrupt_id": interrupt_id,
        "chosen_options": [option],
        "params_input": {"interrupt_id": interrupt_id},
        "responded_by": {"id": "Anonymous", "name": "Anonymous"},
        "responded_at": sent["responded_at"],
        "status": "running",
    }
    trail = asked.xcom("trail")
    assert {key: trail[key] for key in result} == result
    assert (trail["label"], trail["question"]) == (question["value"]["label"], digest(question["value"]))
    assert (trail["by"], trail["sent"]) == ("person", sent)
    assert (trail["shown"]["subject"], trail["shown"]["body"]) == (form["subject"], form["body"])
    airflow.wait_for(lambda: emulator.service.get_run(run_id).output, "an output", 10)
    assert emulator.service.get_run(run_id).output["artifacts"][0]["decision"] == word


def test_two_questions_at_once_are_reviewed_side_by_side(airflow: Standalone, emulator: Emulator) -> None:
    run_id, questions = interrupted(airflow, emulator, "two_questions")
    dag_run = airflow.start_dag("rounds", {"run_id": run_id})
    reviews = [Review(airflow, "rounds", dag_run, "reviewed.review_1", index) for index in range(2)]
    assert [asked.shown()["subject"] for asked in reviews] == [question["value"]["label"] for question in questions]
    reviews[1].answer("Reject")
    reviews[1].wait_for("success")
    assert emulator.service.get_run(run_id).status == "interrupted"
    reviews[0].answer("Approve")
    airflow.wait_for_dag("rounds", dag_run)
    assert [(key, sent["decision"]) for key, sent in answers(emulator, run_id)] == [
        (questions[1]["id"], "reject"),
        (questions[0]["id"], "approve"),
    ]
    states = {ti["task_id"]: ti["state"] for ti in airflow.task_instances("rounds", dag_run)}
    # The run is done after the first round: the second finds nothing to review.
    assert states["reviewed.wait_2"] == "success"
    assert states["reviewed.review_2"] == "skipped"
    assert states["report"] == "success"
    assert airflow.xcom("rounds", dag_run, "reviewed.output") == emulator.service.get_run(run_id).output


def test_a_second_round_shows_the_second_question_with_the_fields_that_the_agent_wants(
    airflow: Standalone, emulator: Emulator
) -> None:
    run_id, [first] = interrupted(airflow, emulator, "two_rounds")
    dag_run = airflow.start_dag("rounds", {"run_id": run_id})
    one, two = (Review(airflow, "rounds", dag_run, f"reviewed.review_{number}", 0) for number in (1, 2))
    assert one.shown()["subject"] == first["value"]["label"]
    one.answer("Approve")
    form = two.shown()
    [second] = emulator.service.get_run(run_id).interrupts
    assert form["subject"] == second["value"]["label"] != first["value"]["label"]
    assert list(form["params"]) == ["note", *CONSTANTS]
    two.answer("Reject", note="Too many open points")
    airflow.wait_for_dag("rounds", dag_run)
    assert [key for key, _ in answers(emulator, run_id)] == [first["id"], second["id"]]
    sent = answers(emulator, run_id)[1][1]
    assert (sent["decision"], sent["note"]) == ("reject", "Too many open points")


def test_a_run_that_asks_nothing_passes_through_all_rounds_unreviewed(airflow: Standalone, emulator: Emulator) -> None:
    run_id = emulator.service.create_run("instant", business_id="0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10").id
    dag_run = airflow.start_dag("rounds", {"run_id": run_id})
    airflow.wait_for_dag("rounds", dag_run)
    states = {ti["task_id"]: ti["state"] for ti in airflow.task_instances("rounds", dag_run)}
    later = ("reviewed.review_1", "reviewed.wait_2", "reviewed.interrupts_2", "reviewed.review_2")
    assert [states[task_id] for task_id in later] == ["skipped"] * 4
    assert (states["reviewed.output"], states["report"]) == ("success", "success")


def test_a_run_that_still_asks_after_the_last_round_fails_with_its_questions(
    airflow: Standalone, emulator: Emulator
) -> None:
    run_id, _ = interrupted(airflow, emulator, "two_rounds")
    dag_run = airflow.start_dag("one_round", {"run_id": run_id})
    asked = Review(airflow, "one_round", dag_run, "reviewed.review_1", 0)
    asked.shown()
    asked.answer("Approve")
    airflow.wait_for_dag("one_round", dag_run, "failed")
    [second] = emulator.service.get_run(run_id).interrupts
    log = airflow.task_log("one_round", dag_run, "reviewed.output")
    assert "AgentRunInterruptedError" in log
    assert second["value"]["label"] in log


def test_the_orchestrators_proposals_are_laid_out_one_by_one(airflow: Standalone, emulator: Emulator) -> None:
    run_id, [question] = interrupted(airflow, emulator, "cip_orchestrator")
    dag_run = airflow.start_dag("rounds", {"run_id": run_id})
    asked = Review(airflow, "rounds", dag_run, "reviewed.review_1", 0)
    body = asked.shown()["body"]
    for number, proposal in enumerate(question["value"]["proposals"], 1):
        assert f"Proposal {number} of 3" in body
        assert proposal["artifacts"][0]["summary"].split(".")[0] in body.replace("\\", "")
        assert f"](<{proposal['artifacts'][0]['sources'][0]['url']}" in body
    asked.answer("Approve")
    airflow.wait_for_dag("rounds", dag_run)
    assert "cip_summary" in {a["type"] for a in airflow.xcom("rounds", dag_run, "reviewed.output")["artifacts"]}


def test_a_group_that_a_branch_leaves_out_is_left_out_as_a_whole(airflow: Standalone) -> None:
    dag_run = airflow.start_dag("chosen")
    airflow.wait_for_dag("chosen", dag_run)
    states = {ti["task_id"]: ti["state"] for ti in airflow.task_instances("chosen", dag_run)}
    assert {state for task_id, state in states.items() if task_id.startswith("reviewed.")} == {"skipped"}
    assert states["instead"] == "success"


def test_a_policy_decides_first_and_people_get_the_rest(airflow: Standalone, emulator: Emulator) -> None:
    run_id, [question] = interrupted(airflow, emulator, "needs_approval")
    dag_run = airflow.start_dag("policy", {"run_id": run_id})
    airflow.wait_for_dag("policy", dag_run)
    asked = Review(airflow, "policy", dag_run, "reviewed.review_1", 0)
    assert asked.xcom()["responded_by"]["id"] == "policy"
    assert asked.xcom()["responded_by"]["name"].endswith("by_size")
    trail = asked.xcom("trail")
    assert (trail["by"], trail["chosen_options"], trail["shown"]) == ("policy", ["Approve"], None)
    assert [(key, sent["decision"]) for key, sent in answers(emulator, run_id)] == [(question["id"], "approve")]

    run_id, _ = interrupted(airflow, emulator, "cip_orchestrator")
    dag_run = airflow.start_dag("policy", {"run_id": run_id})
    asked = Review(airflow, "policy", dag_run, "reviewed.review_1", 0)
    asked.shown()
    asked.answer("Approve")
    airflow.wait_for_dag("policy", dag_run)
    assert asked.xcom("trail")["by"] == "person"


def test_a_policy_that_fails_sends_nothing(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, _ = review(airflow, emulator, "needs_approval", "broken_policy")
    airflow.wait_for_dag("broken_policy", asked.dag_run, "failed")
    assert answers(emulator, run_id) == []


def test_the_dag_authors_fields_and_options_make_the_answer(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval", "fields")
    form = asked.shown()
    assert form["options"] == ["Yes", "No", "Later"]
    assert list(form["params"]) == ["reason", *CONSTANTS]
    asked.answer("Later", reason="No papers yet")
    asked.wait_for("success")
    airflow.wait_for_dag("fields", asked.dag_run)
    assert answers(emulator, run_id) == [(interrupt_id, {"decision": "later", "why": "No papers yet"})]


def test_a_reviewer_rates_what_was_proposed(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "rated", "fields")
    assert list(asked.shown()["params"]) == ["reason", "_rating", "_rating_comment", *CONSTANTS]
    asked.answer("Yes", reason="It fits", _rating="POSITIVE", _rating_comment="Well sourced")
    airflow.wait_for_dag("fields", asked.dag_run)
    # The rating is the service's, and no part of the answer.
    assert answers(emulator, run_id) == [(interrupt_id, {"decision": "yes", "why": "It fits"})]
    given = {"artifact_id": RATED_ARTIFACT, "rating": "POSITIVE", "comment": "Well sourced"}
    assert asked.xcom("trail")["rating"] == given
    [recorded] = [rating for rating in emulator.service.ratings if rating["run_id"] == run_id]
    assert {key: recorded[key] for key in given} == given
