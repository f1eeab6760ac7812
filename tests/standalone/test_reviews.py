# SPDX-License-Identifier: Apache-2.0
"""People answer what agents ask, through Airflow's own forms."""

from __future__ import annotations

import json

from airflow_provider_agentruns.emulator.server import Emulator
from tests.standalone.conftest import RATED_ARTIFACT
from tests.standalone.people import CONSTANTS, Review, answers, decisions, interrupted, review
from tests.support.airflow_versions import FORM_STATE, HAS_STATE_STORE
from tests.support.standalone import Standalone


def test_a_person_answers_one_question(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "needs_approval")
    form = asked.shown()
    [question] = emulator.service.get_run(run_id).interrupts
    assert form["subject"] == question["value"]["label"]
    assert form["options"] == ["Approve", "Reject"]
    assert question["value"]["artifacts"][0]["title"] in form["body"]
    assert form["params"]["interrupt_id"]["schema"]["const"] == interrupt_id
    # No worker waits and, from Airflow 3.3 on, no trigger.
    assert asked.ti["state"] == FORM_STATE
    assert (asked.ti["trigger"] is None) is HAS_STATE_STORE

    asked.answer("Reject")
    asked.wait_for_dag()
    [(answered, sent)] = answers(emulator, run_id)
    assert answered == interrupt_id
    assert (sent["decision"], sent["responded_by"]["id"]) == ("reject", "Anonymous")
    result, trail = asked.xcom(), asked.xcom("trail")
    assert result["chosen_options"] == ["Reject"]
    assert result["params_input"] == {"interrupt_id": interrupt_id}
    assert (result["run_id"], result["interrupt_id"]) == (run_id, interrupt_id)
    assert result["responded_by"] == {"id": "Anonymous", "name": "Anonymous"}
    assert {key: trail[key] for key in result} == result
    assert (trail["by"], trail["sent"], trail["label"]) == ("person", sent, question["value"]["label"])
    assert (trail["shown"]["subject"], trail["shown"]["body"]) == (form["subject"], form["body"])
    airflow.wait_for(lambda: emulator.service.get_run(run_id).output, "see an output")
    assert emulator.service.get_run(run_id).output["artifacts"][0]["decision"] == "reject"
    documents = [json.loads(path.read_text()) for path in (airflow.home / "audit").iterdir()]
    [document] = [document for document in documents if document["run_id"] == run_id]
    assert document.items() >= trail.items()
    assert (document["dag_run_id"], document["task_id"]) == (asked.ti["dag_run_id"], asked.ti["task_id"])


def test_two_questions_at_once_are_reviewed_independently(airflow: Standalone, emulator: Emulator) -> None:
    run_id, questions = interrupted(airflow, emulator, "two_questions")
    dag_run = airflow.start_dag("rounds", {"run_id": run_id})
    first, second = (Review(airflow, "rounds", dag_run, "reviewed.review_1", index) for index in range(2))
    assert [asked.shown()["subject"] for asked in (first, second)] == [asked["value"]["label"] for asked in questions]
    second.answer("Reject")
    second.wait_for("success")
    assert emulator.service.get_run(run_id).status == "interrupted"
    first.answer("Approve")
    airflow.wait_for_dag("rounds", dag_run)
    assert decisions(emulator, run_id) == [(questions[1]["id"], "reject"), (questions[0]["id"], "approve")]
    states = {ti["task_id"]: ti["state"] for ti in airflow.task_instances("rounds", dag_run)}
    # The run is complete after the first round, so the second one has nothing to review.
    assert [states[task] for task in ("reviewed.wait_2", "reviewed.review_2", "report")] == [
        "success",
        "skipped",
        "success",
    ]
    assert airflow.xcom("rounds", dag_run, "reviewed.output") == emulator.service.get_run(run_id).output


def test_a_second_round_shows_the_second_question_and_its_fields(airflow: Standalone, emulator: Emulator) -> None:
    run_id, [first] = interrupted(airflow, emulator, "two_rounds")
    dag_run = airflow.start_dag("rounds", {"run_id": run_id})
    one, two = (Review(airflow, "rounds", dag_run, f"reviewed.review_{number}", 0) for number in (1, 2))
    assert one.shown()["subject"] == first["value"]["label"]
    one.answer("Approve")
    airflow.wait_for(lambda: emulator.service.get_run(run_id).interrupts, "see a second question")
    form = two.shown()
    [second] = emulator.service.get_run(run_id).interrupts
    assert form["subject"] == second["value"]["label"] != first["value"]["label"]
    assert list(form["params"]) == ["note", *CONSTANTS]
    two.answer("Reject", note="Too many open points")
    airflow.wait_for_dag("rounds", dag_run)
    [_, (interrupt_id, sent)] = answers(emulator, run_id)
    assert (interrupt_id, sent["decision"], sent["note"]) == (second["id"], "reject", "Too many open points")


def test_a_reviewer_fills_in_the_authors_fields_and_rates_an_artifact(airflow: Standalone, emulator: Emulator) -> None:
    asked, run_id, interrupt_id = review(airflow, emulator, "rated", "fields")
    form = asked.shown()
    assert form["options"] == ["Yes", "No", "Later"]
    assert list(form["params"]) == ["reason", "_rating", "_rating_comment", *CONSTANTS]
    asked.answer("Later", reason="No papers yet", _rating="POSITIVE", _rating_comment="Well sourced")
    asked.wait_for_dag()
    # The rating is not part of the answer.
    assert answers(emulator, run_id) == [(interrupt_id, {"decision": "later", "why": "No papers yet"})]
    given = {"artifact_id": RATED_ARTIFACT, "rating": "POSITIVE", "comment": "Well sourced"}
    assert asked.xcom("trail")["rating"] == given
    [recorded] = [rating for rating in emulator.service.ratings if rating["run_id"] == run_id]
    assert {key: recorded[key] for key in given} == given
