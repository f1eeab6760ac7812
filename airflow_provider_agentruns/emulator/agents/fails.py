# SPDX-License-Identifier: Apache-2.0
"""The agent ``fails``."""

from __future__ import annotations

from airflow_provider_agentruns.emulator.scripts import Case, Delegate, Fails, ScriptBody, Work


def fails(case: Case) -> ScriptBody:
    """Ends with an error, in a nested step."""
    yield Work(0.1, "plan", "Plans the research")
    yield Delegate(_unreachable_registry(), "read_registry", "Reads the company registry", agent="researcher")
    return None


def _unreachable_registry() -> ScriptBody:
    yield Work(0.2, "open_registry", "Opens the registry")
    raise Fails("The company registry cannot be reached", "No response after three tries", name="registry_error")
