# SPDX-License-Identifier: Apache-2.0
"""The agent ``cip_orchestrator``: sub-agents that research a business, and one combined proposal to a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_agentruns.emulator.scripts import Ask, Case, Delegate, ScriptBody, Work, decision_in


@dataclass(frozen=True)
class _Business:
    """What the research finds."""

    name: str
    state: str
    owner: str
    stake: int
    website: str


def cip_orchestrator(case: Case) -> ScriptBody:
    """Identifies a business with the help of other agents, and asks once about all that they propose."""
    business = _invented(case)
    yield Work(0.3, "plan", "Plans which agents to ask")
    findings = [
        (yield Delegate(_registry(business), "registry", "Checks the registration", agent="registry_agent")),
        (yield Delegate(_ownership(business), "ownership", "Finds out who owns it", agent="ownership_agent")),
        (yield Delegate(_web(business), "web_presence", "Reads its web presence", agent="web_agent")),
    ]
    yield Work(0.4, "combine", "Combines what the agents propose")
    [answer] = yield Ask(
        [
            {
                "type": "combined_proposal",
                "agent": case.agent,
                "label": f"Shall these changes to {business.name} be made?",
                "proposals": [_proposal(artifact) for artifact in (finding[0] for finding in findings)],
            }
        ]
    )
    yield Work(0.4, "summarize", "Writes the summary")
    return [_summary(business, answer), *(artifact for finding in findings for artifact in finding)]


def _registry(business: _Business) -> ScriptBody:
    yield Work(0.5, "search_registry", f"Searches the registry of {business.state}")
    yield Work(0.3, "read_filing", "Reads the latest filing")
    return [
        {
            "title": "Registration",
            "type": "registration_review",
            "confidence": "high",
            "summary": f"{business.name} is registered in {business.state} and active.",
            "sources": [_source("registry.example.com/filings/20417", "State registry", "primary", "government")],
            "filing": {"state": business.state, "status": "active", "file_number": "20417"},
            "agent": "registry_agent",
        }
    ]


def _ownership(business: _Business) -> ScriptBody:
    yield Work(0.4, "read_officers", "Reads the list of officers")
    yield Work(0.4, "trace_owners", "Traces the owners")
    return [
        {
            "title": "Owners",
            "type": "ownership_review",
            "confidence": "medium",
            "summary": f"{business.owner} owns {business.stake} percent.",
            "sources": [_source("registry.example.com/officers/20417", "State registry", "primary", "government")],
            "owners": [{"name": business.owner, "percent": business.stake, "verified": None}],
            "agent": "ownership_agent",
        }
    ]


def _web(business: _Business) -> ScriptBody:
    yield Work(0.4, "find_website", "Finds the website")
    yield Work(0.3, "read_website", "Reads the website")
    return [
        {
            "title": "Website",
            "type": "website_review",
            "confidence": "low",
            "summary": f"{business.website} names the business and its owner.",
            "sources": [_source(business.website, "The business's website", "secondary", "website")],
            "pages_read": 7,
            "agent": "web_agent",
        }
    ]


def _invented(case: Case) -> _Business:
    first, second = case.rng.choice(("Cedar", "Harbor", "Summit", "Juniper")), case.rng.choice(("Foods", "Tooling"))
    return _Business(
        name=f"{first} {second} LLC",
        state=case.rng.choice(("Delaware", "Oregon", "Texas")),
        owner=case.rng.choice(("Dana Whitfield", "Luis Ortega", "Mei Tanaka")),
        stake=case.rng.randint(26, 90),
        website=f"{first.lower()}-{second.lower()}.example.com",
    )


def _proposal(artifact: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "proposal",
        "agent": artifact["agent"],
        "label": f"Take over what was found under {artifact['title'].lower()}?",
        "artifacts": [artifact],
    }


def _summary(business: _Business, answer: Any) -> dict[str, Any]:
    decision = decision_in(answer)
    return {
        "title": f"Identification of {business.name}",
        "type": "cip_summary",
        "confidence": "high",
        "summary": f"{business.name} of {business.state}, owned by {business.owner}. A person decided: {decision}.",
        "sources": [
            _source("registry.example.com/filings/20417", "State registry", "primary", "government"),
            _source(business.website, "The business's website", "secondary", "website"),
        ],
        "decision": decision,
        "answer": answer,
        "checks": {"registration": "passed", "ownership": "passed", "web_presence": "review"},
    }


def _source(address: str, name: str, tier: str, kind: str) -> dict[str, Any]:
    return {"url": f"https://{address}", "source_name": name, "source_tier": tier, "source_type": kind}
