# SPDX-License-Identifier: Apache-2.0
"""
The built-in agents: when each one works, asks a question, and ends. Custom agents are scripts of the same kind.

``GET /v1/agents`` shows the first line of a script's docstring as the agent's description.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from airflow_provider_agentruns.emulator.script_steps import (
    Ask,
    Case,
    Delegate,
    Fails,
    Json,
    Script,
    ScriptBody,
    Work,
    decision_in,
)

_COMPANIES = ("Cedar & Pine Supply LLC", "Harbor Light Foods Inc", "Northgate Tooling Co", "Blue Finch Studio LLC")

_SOURCE = {
    "url": "https://registry.example.com/filings/20417",
    "source_name": "State registry",
    "source_tier": "primary",
    "source_type": "government",
}


def _artifact(kind: str, title: str, summary: str, **fields: Any) -> Json:
    return {"title": title, "type": kind, "confidence": "medium", "summary": summary, **fields}


def _report(title: str, summary: str) -> Json:
    return _artifact("report", title, summary, confidence="high", sources=[])


def _question(case: Case, label: str, proposal: Json) -> Json:
    """Return the value of an interrupt that asks about one proposed change."""
    return {"agent": case.agent, "label": label, "artifacts": [proposal]}


def _decision(subject: str, answer: Any) -> Json:
    """Return an artifact that states what a person decided."""
    decided = decision_in(answer)
    report = _report(f"{subject}: {decided}", f"A person decided: {decided}.")
    return {**report, "type": "decision", "decision": decided, "answer": answer}


def instant(case: Case) -> ScriptBody:
    """Completes at once."""
    yield Work(0, "look_up", "Looks up the company")
    return [_report("Company found", f"{case.rng.choice(_COMPANIES)} is in good standing.")]


def slow(case: Case) -> ScriptBody:
    """Works for about five seconds, in nested steps."""
    yield Work(0.5, "plan", "Plans the research")
    yield Delegate(_research(), "research", "Researches the company", agent="researcher")
    yield Work(0.7, "write_report", "Writes the report")
    return [_report("Research", f"{case.rng.choice(_COMPANIES)} has two places of business.")]


def _research() -> ScriptBody:
    yield Work(1.0, "read_registry", "Reads the company registry")
    yield Delegate(_read_web(), "read_web", "Searches the web", agent="web_reader")
    yield Work(0.8, "compare", "Compares the results")
    return None


def _read_web() -> ScriptBody:
    yield Work(1.0, "find_pages", "Finds the company's pages")
    yield Work(1.0, "read_pages", "Reads the company's pages")
    return None


def needs_approval(case: Case) -> ScriptBody:
    """Asks one question, then completes."""
    yield Work(0.2, "find_address", "Looks for a current address")
    address = f"Moved to {case.rng.randint(1, 99)} Harbor Street, Suite 4"
    proposal = _artifact("address_change", "New address", address)
    [answer] = yield Ask([_question(case, "Should the company's address be changed?", proposal)])
    yield Work(0.2, "apply_decision", "Applies the decision")
    return [_decision("Address", answer)]


def two_questions(case: Case) -> ScriptBody:
    """Asks two questions at once, and completes when both are answered."""
    yield Work(0.2, "compare_names", "Compares the names on file")
    name = _artifact("name_change", "New name", case.rng.choice(_COMPANIES), confidence="high")
    officer = _artifact("officer_change", "New officer", "R. Alvarez, treasurer")
    name_answer, officer_answer = yield Ask(
        [
            _question(case, "Should the company's name be changed?", name),
            _question(case, "Should the officer be added?", officer),
        ]
    )
    yield Work(0.2, "apply_decisions", "Applies the decisions")
    return [_decision("Name", name_answer), _decision("Officer", officer_answer)]


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
    [first] = yield Ask([_question(case, "Is this list of owners complete?", owners)])
    yield Work(0.2, "rate_risk", "Rates the risk")
    rating = _artifact("risk_rating", "Risk", "Low, with one open point", confidence="low")
    second_question = _question(case, "Do you agree with the risk rating?", rating)
    [second] = yield Ask([{**second_question, "input_schema": _SECOND_ANSWER}])
    yield Work(0.1, "apply_decisions", "Applies the decisions")
    return [_decision("Owners", first), _decision("Risk", second)]


def cip_orchestrator(case: Case) -> ScriptBody:
    """Identifies a business with the help of other agents, and asks once about all their proposals."""
    name = f"{case.rng.choice(('Cedar', 'Harbor', 'Summit', 'Juniper'))} {case.rng.choice(('Foods', 'Tooling'))} LLC"
    state = case.rng.choice(("Delaware", "Oregon", "Texas"))
    owner, stake = case.rng.choice(("Dana Whitfield", "Luis Ortega", "Mei Tanaka")), case.rng.randint(26, 90)
    yield Work(0.3, "plan", "Selects the agents")
    proposals: list[Json] = []
    for subject, step, title, summary, details in (
        ("registry", "Checks the registration", "Registration", f"{name} is registered in {state}.", {"state": state}),
        ("ownership", "Finds the owners", "Owners", f"{owner} owns {stake} percent.", {"until": None}),
        ("web", "Reads the website", "Website", "The website names the business and its owner.", {"pages_read": 7}),
    ):
        agent = f"{subject}_agent"
        yield Delegate(_read_sources(), subject, step, agent=agent)
        finding = _artifact(f"{subject}_review", title, summary, sources=[_SOURCE], agent=agent, details=details)
        label = f"Accept the findings about {title.lower()}?"
        proposals.append({"type": "proposal", "agent": agent, "label": label, "artifacts": [finding]})
    yield Work(0.4, "combine", "Combines the proposals")
    label = f"Should these changes to {name} be made?"
    [answer] = yield Ask([{"type": "combined_proposal", "agent": case.agent, "label": label, "proposals": proposals}])
    yield Work(0.4, "summarize", "Writes the summary")
    decided = decision_in(answer)
    summary = f"{owner} owns it. A person decided: {decided}."
    result = _artifact("cip_summary", f"Identification of {name}", summary, sources=[_SOURCE])
    result |= {"decision": decided, "answer": answer, "checks": {"registration": "passed"}}
    return [result, *(proposal["artifacts"][0] for proposal in proposals)]


def _read_sources() -> ScriptBody:
    yield Work(0.4, "search", "Searches the sources")
    yield Work(0.4, "read", "Reads the results")
    return None


def fails(case: Case) -> ScriptBody:
    """Ends with an error, in a nested step."""
    yield Work(0.1, "plan", "Plans the research")
    yield Delegate(_unreachable_registry(), "read_registry", "Reads the company registry", agent="researcher")
    return None


def _unreachable_registry() -> ScriptBody:
    yield Work(0.2, "open_registry", "Opens the registry")
    raise Fails("The company registry cannot be reached", "No response after three tries", name="registry_error")


BUILTIN: Mapping[str, Script] = MappingProxyType(
    {
        script.__name__: script
        for script in (instant, slow, needs_approval, two_questions, two_rounds, cip_orchestrator, fails)
    }
)
"""Agent types and their scripts."""
