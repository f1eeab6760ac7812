# SPDX-License-Identifier: Apache-2.0
"""Text from a hostile agent has no effect on the form that shows it."""

from __future__ import annotations

import json
from collections import Counter

from airflow_provider_agentruns.emulator.server import Emulator
from tests.browser.hostile import LONG_ADDRESS, MADE_VISIBLE, MARKUP, TITLE
from tests.browser.pages import Browser
from tests.standalone.people import Review, answers, interrupted
from tests.support.standalone import Standalone

# Elements of the package's own layout. Others would come from the agent.
_COUNTED = {"blockquote": 1, "ol": 0, "label": 1}
_HEADINGS = [f"Artifact 1 of 1: # Page </h3> {MARKUP[2]}"]
_ANY_NUMBER = {"p", "br", "ul", "li", "strong"}
_OF_THE_FORM = {"div", "span", "input", "textarea"}

_FORGED = """
    [href*='evil.example'], [src*='evil.example'], [href^='javascript'], img[src='x'], [onerror], [onload],
    a[href^='data:'], a[href^='mailto:'], iframe, object, embed"""


def test_a_hostile_agents_text_is_inert_on_the_page(airflow: Standalone, emulator: Emulator, browser: Browser) -> None:
    run_id, [question] = interrupted(airflow, emulator, "hostile")
    dag_run = airflow.start_dag("browsed", {"run_id": run_id})
    review = Review(airflow, "browsed", dag_run, "reviewed.review_1", 0)
    review.wait_for("awaiting_input")
    form = browser.open_review(review)
    browser.take_screenshot("hostile-light-1280", of=form)

    tags = Counter(form.tags)
    assert form.texts("h3") == _HEADINGS
    assert {tag: tags[tag] for tag in _COUNTED} == _COUNTED
    assert set(tags) == {"a", "h3", "blockquote", "label", *_ANY_NUMBER, *(_OF_THE_FORM & set(tags))}
    links = dict(form.links)
    assert links.pop(run_id) == f"https://runs.example.com/{run_id}"
    assert list(links.values()) == [LONG_ADDRESS]
    assert browser.all(_FORGED) == []
    # A dialog would also have failed the lines above, because nothing closes it.
    assert browser.script("return typeof window.hacked") == "undefined"

    lines = form.text.splitlines()
    for line in "\n".join((*MARKUP, *MADE_VISIBLE.values())).splitlines():
        assert not line or line in lines
    last = " ".join(form.texts("p")[-1].split())
    assert last.startswith(f"Some parts are cut. Find the complete question in run {run_id}")

    assert form.texts("label") == [TITLE]
    assert form.field("note").get_property("value") == "{{ 7*7 }}"
    # Airflow renders the operator's arguments as templates, but not the agent's text.
    assert "{{ 7*7 }} {% raw %}${7*7}" in json.dumps(review.ti["rendered_fields"])

    browser.be(390, "dark")
    form = browser.open_drawer("# Approved by compliance")
    assert browser.overflowing(form.body) == []
    browser.take_screenshot("hostile-dark-390", of=form)
    form.submit("Reject")
    airflow.wait_for_dag("browsed", dag_run)
    [(interrupt_id, sent)] = answers(emulator, run_id)
    assert (interrupt_id, sent["decision"], sent["note"]) == (question["id"], "reject", "{{ 7*7 }}")
    browser.wait(lambda: not browser.all("button[data-testid='hitl-option-Reject']"))
    assert browser.script("return typeof window.hacked") == "undefined"
