# SPDX-License-Identifier: Apache-2.0
"""
Faults of the offline service: what goes wrong with requests and responses. The service itself knows nothing of them.

``table`` lists all faults, ``effects`` is their code, ``plan`` reads rules, and ``active_faults`` selects the rule for
a request and applies it.
"""

from __future__ import annotations

from airflow_provider_agentruns.emulator.faults.active_faults import FaultMiddleware, Faults
from airflow_provider_agentruns.emulator.faults.plan import FaultError, Rule
from airflow_provider_agentruns.emulator.faults.table import FAULTS

__all__ = ["FAULTS", "FaultError", "FaultMiddleware", "Faults", "Rule"]
