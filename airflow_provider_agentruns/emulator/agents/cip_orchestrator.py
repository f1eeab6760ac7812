# SPDX-License-Identifier: Apache-2.0
"""The agent ``cip_orchestrator``: sub-agents research a business, and one question combines their proposals."""

from __future__ import annotations

from typing import Any

from airflow_provider_agentruns.emulator.scripts import Ask, Case, Delegate, ScriptBody, Work, decision_in

_REGISTRY = {
    "url": "https://registry.example.com/filings/20417",
    "source_name": "State registry",
    "source_tier": "primary",
    "source_type": "government",
}


def cip_orchestrator(case: Case) -> ScriptBody:
    """Identifies a business with the help of other agents, and asks once about all their proposals."""
    name = f"{case.rng.choice(('Cedar', 'Harbor', 'Summit', 'Juniper'))} {case.rng.choice(('Foods', 'Tooling'))} LLC"
    state = case.rng.choice(("Delaware", "Oregon", "Texas"))
    owner, stake = case.rng.choice(("Dana Whitfield", "Luis Ortega", "Mei Tanaka")), case.rng.randint(26, 90)
    website = {
        "url": f"https://{name.lower().replace(' ', '-')}.example.com",
        "source_name": "The business's website",
        "source_tier": "secondary",
        "source_type": "website",
    }
    registration = {
        **_finding("Registration", "registration_review", "high", f"{name} is registered in {state} and active."),
        "sources": [_REGISTRY],
        "filing": {"state": state, "status": "active", "file_number": "20417"},
    }
    owners = {
        **_finding("Owners", "ownership_review", "medium", f"{owner} owns {stake} percent."),
        "sources": [_REGISTRY],
        "owners": [{"name": owner, "percent": stake, "verified": None}],
    }
    site = {
        **_finding("Website", "website_review", "low", "The website names the business and its owner."),
        "sources": [website],
        "pages_read": 7,
    }
    yield Work(0.3, "plan", "Selects the agents")
    proposals = []
    for agent, label, finding in (
        ("registry_agent", "Checks the registration", registration),
        ("ownership_agent", "Finds the owners", owners),
        ("web_agent", "Reads the website", site),
    ):
        yield Delegate(_research(), agent.removesuffix("_agent"), label, agent=agent)
        finding["agent"] = agent
        question = f"Accept the findings about {finding['title'].lower()}?"
        proposals.append({"type": "proposal", "agent": agent, "label": question, "artifacts": [finding]})
    yield Work(0.4, "combine", "Combines the proposals")
    label = f"Should these changes to {name} be made?"
    [answer] = yield Ask(
        [{"type": "combined_proposal", "agent": case.agent, "label": label, "proposals": proposals}],
    )
    yield Work(0.4, "summarize", "Writes the summary")
    decision = decision_in(answer)
    summary = {
        **_finding(
            f"Identification of {name}",
            "cip_summary",
            "high",
            f"{name} of {state}, owned by {owner}. A person decided: {decision}.",
        ),
        "sources": [_REGISTRY, website],
        "decision": decision,
        "answer": answer,
        "checks": {"registration": "passed", "ownership": "passed", "web_presence": "review"},
    }
    return [summary, registration, owners, site]


def _research() -> ScriptBody:
    yield Work(0.4, "search", "Searches the sources")
    yield Work(0.4, "read", "Reads the results")
    return None


def _finding(title: str, kind: str, confidence: str, summary: str) -> dict[str, Any]:
    return {"title": title, "type": kind, "confidence": confidence, "summary": summary}
