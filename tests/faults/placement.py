# SPDX-License-Identifier: Apache-2.0
"""
Which request of a component a fault applies to, or why it cannot apply.

Most faults apply to one request. Changed contents of responses and unknown runs last.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_agentruns.emulator.faults import FAULTS
from tests.faults.components import COMPONENTS, RUN
from tests.faults.stand import Placement

#: All rows of the table, and their groups.
GROUPS = {name: fault.group for name, fault in FAULTS.items()}

_HOUR = 3600.0
_TIMING: dict[str, dict[str, Any]] = {"slow answer": {"seconds": _HOUR}, "slow body": {"pause": 1.0}}


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
    if fault == "404 at first":
        becomes_visible = component.does == "start" or name == "events"
        return Placement(fault, "GET", RUN, {"seconds": _HOUR, **({"times": 2} if becomes_visible else {})})
    if fault in ("refused", "unknown fields", "clock skew"):
        return Placement(fault)
    return Placement(fault, component.method, component.path, {**_TIMING.get(fault, {}), **once})
