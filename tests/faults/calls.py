# SPDX-License-Identifier: Apache-2.0
"""Calls of the hook under a fault, with the sync and with the async methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from airflow_provider_agentruns.exceptions import AgentRunsError
from tests.faults.outcomes import LASTING, Outcome
from tests.faults.placement import GROUPS, timeout_for
from tests.faults.stand import Placement, Stand
from tests.hooks.conftest import HookUser
from tests.support import BUSINESS

_CALLS: dict[str, Callable[[HookUser, str], Any]] = {
    "get": lambda user, run_id: user.call("get_run", run_id),
    LASTING: lambda user, run_id: user.call("get_run", run_id),
    "start": lambda user, run_id: user.call("create_run", "instant", business_id=BUSINESS),
    "list": lambda user, run_id: next(user.iterate("list_runs"), None),
    "stream": lambda user, run_id: list(user.iterate("stream_run", run_id)),
}


def calls_for(fault: str) -> list[str]:
    if GROUPS[fault] == "Streams":
        return ["stream"]
    if fault == "listing lags":
        return ["list"]
    return ["get", "start"] if fault == "refused" else ["get", "start", LASTING]


def call_hook(fault: str, placement: Placement, stand: Stand, *, sync: bool) -> tuple[list[Outcome], list[Any]]:
    """Make the calls, and return their outcomes and everything to search for tokens."""
    outcomes: list[Outcome] = []
    out: list[Any] = []
    for call in calls_for(fault):
        stand.connect(timeout_for(fault))
        run = stand.run("instant")
        placed = placement
        if call == LASTING:
            placed = replace(placement, fields={k: v for k, v in placement.fields.items() if k != "times"})
        if call == "start" and placement.method:
            placed = replace(placement, method="POST", path="/v1/runs")
        user = HookUser("sync" if sync else "async", stand.conn_id)
        error = None
        with stand.suffering(placed) as seen:
            try:
                _CALLS[call](user, run.id)
            except AgentRunsError as e:
                error = e
            finally:
                user.end()
        out += [user.hook, user.hook.settings, error]
        name, in_doubt = (type(error).__name__, error.in_doubt) if error else ("", False)
        outcomes.append(seen.outcome(name, does=call, call=call, in_doubt=in_doubt))
    return outcomes, out
