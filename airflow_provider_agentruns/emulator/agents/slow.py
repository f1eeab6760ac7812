# SPDX-License-Identifier: Apache-2.0
"""The agent ``slow``."""

from __future__ import annotations

from airflow_provider_agentruns.emulator.agents.content import COMPANIES, report
from airflow_provider_agentruns.emulator.scripts import Case, Delegate, ScriptBody, Work


def slow(case: Case) -> ScriptBody:
    """Works for about five seconds, in nested steps."""
    yield Work(0.5, "plan", "Plans the research")
    yield Delegate(_research(), "research", "Researches the company", agent="researcher")
    yield Work(0.7, "write_report", "Writes the report")
    return [report("Research", f"{case.rng.choice(COMPANIES)} has two places of business.")]


def _research() -> ScriptBody:
    yield Work(1.0, "read_registry", "Reads the company registry")
    yield Delegate(_read_web(), "read_web", "Searches the web", agent="web_reader")
    yield Work(0.8, "compare", "Compares the results")
    return None


def _read_web() -> ScriptBody:
    yield Work(1.0, "find_pages", "Finds the company's pages")
    yield Work(1.0, "read_pages", "Reads the company's pages")
    return None
