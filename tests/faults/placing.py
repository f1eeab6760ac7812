# SPDX-License-Identifier: Apache-2.0
"""
Which request of a component a fault meets, or why it cannot concern it: the one place that decides.

Most faults meet one request, and the service is well again after it; what a service is like (what can be read in its
answers, an outdated listing, an unknown run) it is all the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_agentruns.emulator.faults import FAULTS, describing
from tests.faults.parts import PARTS, RUN

#: Parameters that keep the table short, or make a fault the one that is meant.
_PARAMETERS: dict[str, dict[str, Any]] = {
    "outage": {"seconds": 0.2},
    "slow answer": {"seconds": 1.2},
    "slow head": {"pause": 0.0005},
    "gigantic artifact": {"megabytes": 2},
    # As 3 s are to the 8 s that a start gives a run to show.
    "listing lags": {"seconds": 0.15},
}

#: What answers say and cannot be gone on with: it passes, as do faults of other groups.
_BREAKS = ("unknown status", "null objects", "deep nesting")

#: The fault that a new token ends.
ROTATED = "401 until rotated"

#: Longer than any wait of the table, and as long as a run that was just started may be unknown.
_NEVER_VISIBLE, _SOON_VISIBLE = 600.0, 0.6

#: Request timeout in seconds. The short one is for what only a timeout ends.
USUAL_TIMEOUT, SHORT_TIMEOUT = 5.0, 0.8


@dataclass(frozen=True, slots=True)
class Rule:
    """
    A rule for the offline service.

    :param also: One more fault, without which this one would not show.
    """

    fault: str
    method: str | None = None
    path: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    also: Rule | None = None


def group_of(fault: str) -> str:
    """Return which of the groups of faults one belongs to, such as ``network``."""
    return describing.group_of(FAULTS[fault])


def timeout_for(fault: str) -> float:
    """Return the connection's request timeout for the row of a fault."""
    return SHORT_TIMEOUT if group_of(fault) == "timing" else USUAL_TIMEOUT


def placed(fault: str, part_name: str) -> Rule | str:
    """Return the rule by which a fault meets a component, or in words why it cannot."""
    part, kind, group = PARTS[part_name], FAULTS[fault], group_of(fault)
    fields = _PARAMETERS.get(fault, {})
    hook = part_name.startswith("hook")
    if fault == "client killed":
        return "no process to kill" if hook or part.waits_in_loop else "kills a worker: see below"
    if kind.meets == "service":
        return Rule(fault)
    if kind.meets == "connection":
        return Rule(fault, fields={"times": 1, "after": part.after})
    if group == "streams":
        return (
            Rule(fault, fields={**fields, "times": 1}) if hook or part_name == "trigger_stream" else "follows no stream"
        )
    if group == "lagging":
        if part.starts:
            return Rule(fault, fields=fields, also=Rule("answer lost", part.method, part.path, {"times": 1}))
        return Rule(fault, fields=fields) if hook or part.reads_listing else "reads no listing"
    if fault == "404 at first":
        soon = part.starts or part_name == "events"
        return Rule(fault, "GET", RUN, {"seconds": _SOON_VISIBLE if soon else _NEVER_VISIBLE})
    if fault == ROTATED:
        if part.waits_in_loop:
            # A watcher has looked before; a wait has to have begun.
            return Rule(fault, "GET", "/v1/runs.*", {"after": int(part_name != "events")})
        return Rule(fault, part.method, part.path, {"after": part.after})
    if group == "content" and fault not in _BREAKS:
        return Rule(fault, fields=fields)
    return Rule(fault, part.method, part.path, {**fields, "times": 1, "after": part.after})
