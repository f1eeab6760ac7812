# SPDX-License-Identifier: Apache-2.0
"""
Faults of the offline service: ``table`` lists them, ``effects`` is their code, ``plan`` reads the rules that select
requests, and ``active_faults`` contains the active rules. The middleware applies them.
"""

from __future__ import annotations

from airflow_provider_agentruns.emulator.faults.active_faults import Faults
from airflow_provider_agentruns.emulator.faults.plan import FaultError, Rule
from airflow_provider_agentruns.emulator.faults.table import FAULTS

__all__ = ["FAULTS", "FaultError", "Faults", "Rule"]
