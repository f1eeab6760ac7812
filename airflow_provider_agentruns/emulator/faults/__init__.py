# SPDX-License-Identifier: Apache-2.0
"""The faults of the offline service, and the rules that select the requests they apply to."""

from __future__ import annotations

from airflow_provider_agentruns.emulator.faults.active_faults import Faults
from airflow_provider_agentruns.emulator.faults.plan import FaultError, Rule
from airflow_provider_agentruns.emulator.faults.table import FAULTS

__all__ = ["FAULTS", "FaultError", "Faults", "Rule"]
