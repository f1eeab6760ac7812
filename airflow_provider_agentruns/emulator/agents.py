# SPDX-License-Identifier: Apache-2.0
"""The built-in agents. The first line of each docstring is the description that ``/v1/agents`` gives."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from airflow_provider_agentruns.emulator.cip import cip_orchestrator
from airflow_provider_agentruns.emulator.scripts import (
    Ask,
    Case,
    Delegate,
    Fails,
    Script,
    ScriptBody,
    Work,
    decision_in,
)

_COMPANIES = ("Cedar & Pine Supply LLC", "Harbor Light Foods Inc", "Northgate Tooling Co", "Blue Finch Studio LLC")


def instant(case: Case) -> ScriptBody:
    """Is completed before it is asked about."""
    yield Work(0, "look_up", "Looks the company up")
    return [_report("Company found", f"{case.rng.choice(_COMPANIES)} is in good standing.")]


def slow(case: Case) -> ScriptBody:
    """Works for about five seconds, in steps with steps inside."""
    yield Work(0.5, "plan", "Plans the research")
    yield Delegate(_research(), "research", "Researches the company", agent="researcher")
    yield Work(0.7, "write_report", "Writes the report")
    return [_report("Research", f"{case.rng.choice(_COMPANIES)} trades from two places.")]


def _research() -> ScriptBody:
    yield Work(1.0, "read_registry", "Reads the registry of companies")
    yield Delegate(_read_web(), "read_web", "Reads what is on the web", agent="web_reader")
    yield Work(0.8, "compare", "Compares what it found")
    return None


def _read_web() -> ScriptBody:
    yield Work(1.0, "find_pages", "Finds the company's pages")
    yield Work(1.0, "read_pages", "Reads the company's pages")
    return None


def needs_approval(case: Case) -> ScriptBody:
    """Asks one question before it completes."""
    yield Work(0.2, "find_address", "Looks for a current address")
    proposal = {
        "title": "New address",
        "type": "address_change",
        "confidence": "medium",
        "summary": f"Moved to {case.rng.randint(1, 99)} Harbor Street, Suite 4",
    }
    [answer] = yield Ask([_question(case, "Shall the company's address be changed?", proposal)])
    yield Work(0.2, "apply_decision", "Carries the decision out")
    return [_decided("Address", answer)]


def two_questions(case: Case) -> ScriptBody:
    """Asks two questions at once, and completes when both are answered."""
    yield Work(0.2, "compare_names", "Compares the names on file")
    name = {"title": "New name", "type": "name_change", "confidence": "high", "summary": case.rng.choice(_COMPANIES)}
    officer = {
        "title": "New officer",
        "type": "officer_change",
        "confidence": "medium",
        "summary": "R. Alvarez, treasurer",
    }
    answers = yield Ask(
        [
            _question(case, "Shall the company's name be changed?", name),
            _question(case, "Shall the officer be added?", officer),
        ]
    )
    yield Work(0.2, "apply_decisions", "Carries the decisions out")
    return [_decided(subject, answer) for subject, answer in zip(("Name", "Officer"), answers, strict=True)]


def two_rounds(case: Case) -> ScriptBody:
    """Asks a second question after the first is answered; the second takes only an answer of a certain shape."""
    yield Work(0.2, "find_owners", "Looks for the owners")
    owners = {"title": "Owners", "type": "owner_list", "summary": f"{case.rng.randint(2, 5)} owners found"}
    [first] = yield Ask([_question(case, "Is this list of owners complete?", owners)])
    yield Work(0.2, "rate_risk", "Rates the risk")
    rating = {"title": "Risk", "type": "risk_rating", "confidence": "low", "summary": "Low, with one open point"}
    second_question = {
        **_question(case, "Do you agree with the rating of the risk?", rating),
        "input_schema": {
            "type": "object",
            "required": ["decision"],
            "properties": {
                "decision": {"type": "string", "enum": ["approve", "reject"], "title": "Decision"},
                "note": {"type": "string", "maxLength": 500, "title": "Why"},
            },
        },
    }
    [second] = yield Ask([second_question])
    yield Work(0.1, "apply_decisions", "Carries the decisions out")
    return [_decided("Owners", first), _decided("Risk", second)]


def fails(case: Case) -> ScriptBody:
    """Ends as an error, in a step inside a step."""
    yield Work(0.1, "plan", "Plans the research")
    yield Delegate(_unreachable_registry(), "read_registry", "Reads the registry of companies", agent="researcher")
    return None


def _unreachable_registry() -> ScriptBody:
    yield Work(0.2, "open_registry", "Opens the registry")
    raise Fails("The registry of companies cannot be reached", "No answer after three tries", name="registry_error")


def _question(case: Case, label: str, proposal: dict[str, Any]) -> dict[str, Any]:
    return {"agent": case.agent, "label": label, "artifacts": [proposal]}


def _decided(subject: str, answer: Any) -> dict[str, Any]:
    decision = decision_in(answer)
    return {
        **_report(f"{subject}: {decision}", f"A person decided: {decision}."),
        "type": "decision",
        "decision": decision,
        "answer": answer,
    }


def _report(title: str, summary: str) -> dict[str, Any]:
    return {"title": title, "type": "report", "confidence": "high", "summary": summary, "sources": []}


BUILTIN: Mapping[str, Script] = MappingProxyType(
    {
        "instant": instant,
        "slow": slow,
        "needs_approval": needs_approval,
        "two_questions": two_questions,
        "two_rounds": two_rounds,
        "cip_orchestrator": cip_orchestrator,
        "fails": fails,
    }
)
