# SPDX-License-Identifier: Apache-2.0
"""The agent ``needs_approval``."""

from __future__ import annotations

from airflow_provider_agentruns.emulator.agents.content import decision, question
from airflow_provider_agentruns.emulator.scripts import Ask, Case, ScriptBody, Work


def needs_approval(case: Case) -> ScriptBody:
    """Asks one question, then completes."""
    yield Work(0.2, "find_address", "Looks for a current address")
    proposal = {
        "title": "New address",
        "type": "address_change",
        "confidence": "medium",
        "summary": f"Moved to {case.rng.randint(1, 99)} Harbor Street, Suite 4",
    }
    [answer] = yield Ask([question(case, "Should the company's address be changed?", proposal)])
    yield Work(0.2, "apply_decision", "Applies the decision")
    return [decision("Address", answer)]
