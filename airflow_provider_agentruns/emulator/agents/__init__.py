# SPDX-License-Identifier: Apache-2.0
"""
The built-in agents, one script per file. Not here: the commands of a script (``scripts``), and what runs it.

``GET /v1/agents`` shows the first line of a script's docstring as the agent's description.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from airflow_provider_agentruns.emulator.agents.cip_orchestrator import cip_orchestrator
from airflow_provider_agentruns.emulator.agents.fails import fails
from airflow_provider_agentruns.emulator.agents.instant import instant
from airflow_provider_agentruns.emulator.agents.needs_approval import needs_approval
from airflow_provider_agentruns.emulator.agents.slow import slow
from airflow_provider_agentruns.emulator.agents.two_questions import two_questions
from airflow_provider_agentruns.emulator.agents.two_rounds import two_rounds
from airflow_provider_agentruns.emulator.scripts import Script

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
"""Agent types and their scripts."""
