# SPDX-License-Identifier: Apache-2.0
"""The hook's calls that meet a fault, with the sync and with the async methods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import islice
from typing import Any

from airflow_provider_agentruns.emulator.faults import FAULTS
from airflow_provider_agentruns.exceptions import AgentRunsError
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from tests.faults.bench import BUSINESS, Stand
from tests.faults.cells import Cell
from tests.faults.placing import Rule, group_of, timeout_for

#: Reading a run while each such request meets the fault.
LASTING = "lasting"

#: Faults that last anyway, or end by themselves.
_NEVER_OR_ALWAYS = ("refused", "outage")

#: What is read of a list or a stream that may never end.
_ENOUGH = 20

_SYNC: dict[str, Callable[[AgentRunHook, str], Any]] = {
    "get": lambda hook, run_id: hook.get_run(run_id),
    "start": lambda hook, run_id: hook.create_run("instant", business_id=BUSINESS),
    "list": lambda hook, run_id: next(hook.list_runs(), None),
    "stream": lambda hook, run_id: list(islice(hook.stream_run(run_id), _ENOUGH)),
}

_ASYNC: dict[str, Callable[[AgentRunHook, str], Awaitable[Any]]] = {
    "get": lambda hook, run_id: hook.aget_run(run_id),
    "start": lambda hook, run_id: hook.acreate_run("instant", business_id=BUSINESS),
    "list": lambda hook, run_id: anext(hook.alist_runs(), None),
    "stream": lambda hook, run_id: _some(hook.astream_run(run_id)),
}


_METHODS = {LASTING: "get"}


def calls_that_meet(fault: str) -> list[str]:
    """Return the calls that can meet a fault: one that reads, and one that must not be sent twice."""
    if group_of(fault) == "streams":
        return ["stream"]
    if group_of(fault) == "lagging":
        return ["list"]
    if fault == "404 at first":
        return ["get"]
    return ["get", "start"] if fault in _NEVER_OR_ALWAYS else ["get", "start", LASTING]


def call_hook(
    fault: str, rule: Rule, stand: Stand, *, sync: bool
) -> tuple[list[Cell], list[AgentRunsError], list[Any]]:
    """
    Make the calls; return what came of each, the errors, and the hooks.

    :param rule: Its path is the one of reading a run; another call has its own.
    """
    cells, errors, hooks = [], [], []
    for call in calls_that_meet(fault):
        stand.connect(timeout_for(fault), max_retries=20 if fault == "outage" else 1)
        run = stand.run("instant")
        error = None
        met = rule
        if call == LASTING:
            met = replace(rule, fields={name: value for name, value in rule.fields.items() if name != "times"})
        if call == "start" and FAULTS[fault].meets == "request" and rule.method:
            met = Rule(fault, "POST", "/v1/runs", rule.fields)
        hook = AgentRunHook(stand.conn_id)
        with stand.suffering(met) as seen:
            try:
                if sync:
                    _SYNC[_METHODS.get(call, call)](hook, run.id)
                else:
                    asyncio.run(_call_async(call, hook, run.id))
            except AgentRunsError as e:
                error = e
                errors.append(e)
            finally:
                hooks += [hook, hook.settings]
                hook.close()
        # Where each request takes until its timeout, a busy machine may not have sent the last one.
        timed, least = call == LASTING and group_of(fault) == "timing" and error is not None, 1
        cells.append(
            Cell(
                call=call,
                error=type(error).__name__ if error else "",
                in_doubt=bool(error and error.in_doubt),
                requests=least if timed else len(seen.requests),
                at_least=timed,
                runs=len(seen.runs) if call == "start" else None,
                met=seen.met,
            )
        )
    return cells, errors, hooks


async def _call_async(call: str, hook: AgentRunHook, run_id: str) -> None:
    try:
        await _ASYNC[_METHODS.get(call, call)](hook, run_id)
    finally:
        await hook.aclose()


async def _some(items: AsyncIterator[Any]) -> None:
    count = 0
    async for _ in items:
        count += 1
        if count >= _ENOUGH:
            break
