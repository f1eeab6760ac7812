# SPDX-License-Identifier: Apache-2.0
"""The agent ``instant``."""

from __future__ import annotations

from airflow_provider_agentruns.emulator.agents.content import COMPANIES, report
from airflow_provider_agentruns.emulator.scripts import Case, ScriptBody, Work


def instant(case: Case) -> ScriptBody:
    """Completes at once."""
    yield Work(0, "look_up", "Looks up the company")
    return [report("Company found", f"{case.rng.choice(COMPANIES)} is in good standing.")]
