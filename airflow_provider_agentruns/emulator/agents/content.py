# SPDX-License-Identifier: Apache-2.0
"""Questions and artifacts that several built-in agents share."""

from __future__ import annotations

from typing import Any

from airflow_provider_agentruns.emulator.scripts import Case, decision_in

COMPANIES = ("Cedar & Pine Supply LLC", "Harbor Light Foods Inc", "Northgate Tooling Co", "Blue Finch Studio LLC")


def question(case: Case, label: str, proposal: dict[str, Any]) -> dict[str, Any]:
    """Return the value of an interrupt that asks about one proposed change."""
    return {"agent": case.agent, "label": label, "artifacts": [proposal]}


def decision(subject: str, answer: Any) -> dict[str, Any]:
    """Return an artifact that states what a person decided."""
    decided = decision_in(answer)
    return {
        **report(f"{subject}: {decided}", f"A person decided: {decided}."),
        "type": "decision",
        "decision": decided,
        "answer": answer,
    }


def report(title: str, summary: str) -> dict[str, Any]:
    """Return a report."""
    return {"title": title, "type": "report", "confidence": "high", "summary": summary, "sources": []}
