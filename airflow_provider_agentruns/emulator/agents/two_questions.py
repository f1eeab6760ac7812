# SPDX-License-Identifier: Apache-2.0
"""The agent ``two_questions``."""

from __future__ import annotations

from airflow_provider_agentruns.emulator.agents.content import COMPANIES, decision, question
from airflow_provider_agentruns.emulator.scripts import Ask, Case, ScriptBody, Work


def two_questions(case: Case) -> ScriptBody:
    """Asks two questions at once, and completes when both are answered."""
    yield Work(0.2, "compare_names", "Compares the names on file")
    name = {"title": "New name", "type": "name_change", "confidence": "high", "summary": case.rng.choice(COMPANIES)}
    officer = {
        "title": "New officer",
        "type": "officer_change",
        "confidence": "medium",
        "summary": "R. Alvarez, treasurer",
    }
    answers = yield Ask(
        [
            question(case, "Should the company's name be changed?", name),
            question(case, "Should the officer be added?", officer),
        ]
    )
    yield Work(0.2, "apply_decisions", "Applies the decisions")
    return [decision(subject, answer) for subject, answer in zip(("Name", "Officer"), answers, strict=True)]
