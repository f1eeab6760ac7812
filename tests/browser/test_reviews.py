# SPDX-License-Identifier: Apache-2.0
"""A person reads and answers questions in a browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from airflow_provider_agentruns.emulator.server import Emulator
from tests.browser.agent_run_pages import AgentRunPages
from tests.browser.pages import Browser, Form
from tests.standalone.people import Review, answers, interrupted
from tests.support.standalone import Standalone

_RUNS = "https://runs.example.com/"

_TUTORIAL = "reviewed_run"


def test_all_proposals_are_read_and_approved_on_the_page_of_required_actions(
    airflow: Standalone, emulator: Emulator, browser: Browser
) -> None:
    run_id, [question] = interrupted(airflow, emulator, "cip_orchestrator")
    dag_run = airflow.start_dag("browsed", {"run_id": run_id})
    review = Review(airflow, "browsed", dag_run, "reviewed.review_1", 0)
    review.wait_for("awaiting_input")
    subject = question["value"]["label"]

    for scheme in ("light", "dark"):
        browser.be(1280, scheme)
        browser.open_list()
        browser.take_screenshot(f"list-{scheme}-1280")
        form = browser.open_from_list(subject)
        _check_proposals(form, question["value"])
        browser.take_screenshot(f"proposals-{scheme}-1280")
        browser.take_screenshot(f"proposals-{scheme}-1280-whole", of=form)
        browser.be(390, scheme)
        form = browser.open_drawer(subject)
        _check_proposals(form, question["value"])
        assert browser.overflowing(form.body) == []
        browser.take_screenshot(f"proposals-{scheme}-390")
        browser.take_screenshot(f"proposals-{scheme}-390-whole", of=form)

    browser.be(1280, "light")
    form = browser.open_review(review)
    assert (run_id, f"{_RUNS}{run_id}") in form.links
    assert form.buttons == ["Approve", "Reject"]
    form.submit("Approve")
    airflow.wait_for_dag("browsed", dag_run)
    browser.take_screenshot("approved-light-1280")

    [(interrupt_id, sent)] = answers(emulator, run_id)
    assert (interrupt_id, sent["decision"], sent["fields"]) == (question["id"], "approve", {})
    output = airflow.xcom("browsed", dag_run, "reviewed.output")
    assert "cip_summary" in {artifact["type"] for artifact in output["artifacts"]}


def test_the_tutorial_is_followed_in_a_browser(airflow: Standalone, browser: Browser) -> None:
    airflow.unpause(_TUTORIAL)
    dag_run = f"manual__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}+00:00"
    airflow.call("POST", f"/dags/{_TUTORIAL}/dagRuns", json={"dag_run_id": dag_run, "logical_date": None})
    review = Review(airflow, _TUTORIAL, dag_run, "reviewed.review_1", 0)
    review.shown()
    # These are the pictures in the tutorial and the README.
    browser.be(1200, "light")
    form = browser.open_review(review)
    assert form.subject == "Should the company's address be changed?"
    assert form.texts("h3") == ["Artifact 1 of 1: New address"]
    assert browser.overflowing(form.body) == []
    browser.take_screenshot("form", of=form)
    form.submit("Approve")
    airflow.wait_for_dag(_TUTORIAL, dag_run)
    pages = AgentRunPages(browser)
    pages.open_task(_TUTORIAL, dag_run, "start")
    with pages.inside():
        pages.wait_for("Confirmed by the service. Run resumed.")
        pages.check_layout()
    browser.take_screenshot("tab", height=990)


def _check_proposals(form: Form, question: dict[str, Any]) -> None:
    assert form.subject == question["label"]
    artifacts = [artifact for proposal in question["proposals"] for artifact in proposal["artifacts"]]
    headings = form.texts("h2")
    assert len(headings) == len(question["proposals"])
    for number, (heading, proposal) in enumerate(zip(headings, question["proposals"], strict=True), 1):
        assert re.match(rf"Proposal {number} of {len(headings)}\b", heading)
        assert proposal["label"] in heading
    assert [heading.partition(": ")[2] for heading in form.texts("h3")] == [one["title"] for one in artifacts]
    text = form.text
    for artifact in artifacts:
        assert f"confidence: {artifact['confidence']}" in text
        assert artifact["summary"] in text
    sources = [source for artifact in artifacts for source in artifact["sources"]]
    of_sources = [(label, address.rstrip("/")) for label, address in form.links if _RUNS not in address]
    assert of_sources == [(source["source_name"], source["url"]) for source in sources]
    assert all(address.startswith("https://") for _, address in of_sources)
