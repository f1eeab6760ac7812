# SPDX-License-Identifier: Apache-2.0
"""The scripts of the built-in agents. The first line of a docstring is the agent's description in the API."""

from __future__ import annotations

from typing import Any

from airflow_provider_agentruns.emulator.script_steps import Ask, Case, Fails, Json, ScriptBody, Work, decision_in

_COMPANIES = ("Cedar & Pine Supply LLC", "Harbor Light Foods Inc", "Northgate Tooling Co", "Blue Finch Studio LLC")
_SOURCE = {"url": "https://registry.example.com/filings/20417", "source_name": "State registry"}


def _company(case: Case) -> str:
    """Return the name of the business that a run is about, so that runs about different businesses differ."""
    return _COMPANIES[sum((case.context.id or "").encode()) % len(_COMPANIES)]


def _artifact(kind: str, title: str, summary: str, **fields: Any) -> Json:
    return {"title": title, "type": kind, "confidence": "medium", "summary": summary, **fields}


def _question(case: Case, label: str, proposal: Json) -> Json:
    return {"agent": case.agent, "label": label, "artifacts": [proposal]}


def _decision(subject: str, answer: Any) -> Json:
    decided = decision_in(answer)
    return _artifact("decision", f"{subject}: {decided}", "A person decided.", decision=decided, answer=answer)


def instant(case: Case) -> ScriptBody:
    """Completes at once."""
    yield Work(0, "look_up", "Looks up the company")
    return [_artifact("report", "Company found", f"{_company(case)} is in good standing.")]


def slow(case: Case) -> ScriptBody:
    """Works for about five seconds, in nested steps."""
    yield Work(0.5, "plan", "Plans the research")
    search = Work(2.0, "read_pages", "Reads the company's pages")
    inner = [
        Work(1.8, "read_registry", "Reads the company registry"),
        Work(0, "read_web", "Searches the web", agent="web_reader", steps=[search]),
    ]
    yield Work(0, "research", "Researches the company", agent="researcher", steps=inner)
    yield Work(0.7, "write_report", "Writes the report")
    return [_artifact("report", "Research", f"{_company(case)} has two places of business.")]


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
    about_name = _question(case, "Should the company's name be changed?", name)
    about_officer = _question(case, "Should the officer be added?", officer)
    name_answer, officer_answer = yield Ask([about_name, about_officer])
    yield Work(0.2, "apply_decisions", "Applies the decisions")
    return [_decision("Name", name_answer), _decision("Officer", officer_answer)]


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
    owners = _artifact("owner_list", "Owners", f"{case.rng.randint(2, 5)} owners found")
    [first] = yield Ask([_question(case, "Is this list of owners complete?", owners)])
    yield Work(0.2, "rate_risk", "Rates the risk")
    rating = _artifact("risk_rating", "Risk", "Low, with one open point", confidence="low")
    question = _question(case, "Do you agree with the risk rating?", rating)
    [second] = yield Ask([{**question, "input_schema": _SECOND_ANSWER}])
    yield Work(0.1, "apply_decisions", "Applies the decisions")
    return [_decision("Owners", first), _decision("Risk", second)]


def cip_orchestrator(case: Case) -> ScriptBody:
    """Identifies a business with the help of other agents, and asks once about all their proposals."""
    name, owner = case.rng.choice(_COMPANIES), case.rng.choice(("Dana Whitfield", "Luis Ortega", "Mei Tanaka"))
    yield Work(0.7, "plan", "Selects the agents")
    proposals: list[Json] = []
    for subject, title, summary in (
        ("registry", "Registration", f"{name} is registered in Delaware."),
        ("ownership", "Owners", f"{owner} owns {case.rng.randint(26, 90)} percent."),
        ("web", "Website", "The website names the business and its owner."),
    ):
        agent = f"{subject}_agent"
        yield Work(0.8, subject, f"Checks the {title.lower()}", agent=agent)
        finding = _artifact(f"{subject}_review", title, summary, sources=[_SOURCE], agent=agent)
        label = f"Accept the findings about {title.lower()}?"
        proposals.append({"type": "proposal", "agent": agent, "label": label, "artifacts": [finding]})
    label = f"Should these changes to {name} be made?"
    [answer] = yield Ask([{"type": "combined_proposal", "agent": case.agent, "label": label, "proposals": proposals}])
    yield Work(0.4, "summarize", "Writes the summary")
    shown = {"type": "cip_summary", "title": f"Identification of {name}", "sources": [_SOURCE]}
    return [_decision("Identification", answer) | shown, *(proposal["artifacts"][0] for proposal in proposals)]


def fails(case: Case) -> ScriptBody:
    """Ends with an error, in a nested step."""
    yield Work(0.1, "plan", "Plans the research")
    failure = Fails("The company registry cannot be reached", "No response after three tries", name="registry_error")
    inner = (Work(0.2, "open_registry", "Opens the registry"), failure)
    yield Work(0, "read_registry", "Reads the company registry", agent="researcher", steps=inner)
    return None


_SCRIPTS = (instant, slow, needs_approval, two_questions, two_rounds, cip_orchestrator, fails)
#: Agent types and their scripts.
BUILTIN = {script.__name__: script for script in _SCRIPTS}
