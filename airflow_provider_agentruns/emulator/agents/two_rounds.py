# SPDX-License-Identifier: Apache-2.0
"""The agent ``two_rounds``, which asks a second question after the first answer."""

from __future__ import annotations

from airflow_provider_agentruns.emulator.agents.content import decision, question
from airflow_provider_agentruns.emulator.scripts import Ask, Case, ScriptBody, Work

#: The answer to the second question must fit this JSON schema.
_SECOND_ANSWER = {
    "type": "object",
    "required": ["decision"],
    "properties": {
        "decision": {"type": "string", "enum": ["approve", "reject"], "title": "Decision"},
        "note": {"type": "string", "maxLength": 500, "title": "Reason"},
    },
}


def two_rounds(case: Case) -> ScriptBody:
    """Asks a second question after the first answer. The second answer must fit a schema."""
    yield Work(0.2, "find_owners", "Looks for the owners")
    owners = {"title": "Owners", "type": "owner_list", "summary": f"{case.rng.randint(2, 5)} owners found"}
    [first] = yield Ask([question(case, "Is this list of owners complete?", owners)])
    yield Work(0.2, "rate_risk", "Rates the risk")
    rating = {"title": "Risk", "type": "risk_rating", "confidence": "low", "summary": "Low, with one open point"}
    second_question = question(case, "Do you agree with the risk rating?", rating)
    [second] = yield Ask([{**second_question, "input_schema": _SECOND_ANSWER}])
    yield Work(0.1, "apply_decisions", "Applies the decisions")
    return [decision("Owners", first), decision("Risk", second)]
