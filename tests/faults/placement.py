# SPDX-License-Identifier: Apache-2.0
"""Which request of a component a fault applies to, or why it cannot apply."""

from __future__ import annotations

from airflow_provider_agentruns.emulator.fault_table import FAULTS
from tests.faults.components import COMPONENTS, RUN
from tests.faults.stand import Placement

#: All rows of the table, and their groups.
GROUPS = {name: fault.group for name, fault in FAULTS.items()}

_HOUR = 3600.0


def timeout_for(fault: str) -> float:
    """Return the request timeout in seconds: short for faults that only a timeout ends."""
    return 1.5 if GROUPS[fault] == "Timing" or fault == "stream silent" else 20.0


def place(fault: str, name: str) -> Placement | str:
    """Return the rule by which a fault applies to a component, or why it cannot apply."""
    component = COMPONENTS[name]
    hook = name.startswith("hook")
    once = {"times": 1, "after": component.after}
    if GROUPS[fault] == "Streams":
        return Placement(fault, fields={"times": 1}) if hook or name == "trigger_stream" else "reads no stream"
    if fault == "listing lags":
        lags = {"seconds": _HOUR, "times": 1}
        if component.does == "start":
            # The operator looks for the run whose response was lost.
            lost = Placement("answer lost", component.method, component.path, {"times": 1})
            return Placement(fault, fields=lags, also=lost)
        return Placement(fault, fields=lags) if hook or component.waits else "reads no listing"
    if fault == "404" and component.does == "start":
        # A new run can be invisible at first.
        return Placement(fault, "GET", RUN, {"times": 2})
    if fault in ("refused", "unknown fields"):
        return Placement(fault)
    delay = {"seconds": _HOUR} if fault == "slow answer" else {}
    return Placement(fault, component.method, component.path, delay | once)
