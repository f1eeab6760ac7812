# SPDX-License-Identifier: Apache-2.0
"""Running a trigger as the triggerer does: to its end, in the event loop that is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger

ENV = "AIRFLOW_CONN_AGENTRUNS_DEFAULT"


async def event_of(trigger: AgentRunTrigger, *, within: float = 20.0) -> dict[str, Any]:
    """
    Return what a trigger's one event holds.

    :param within: Seconds after which the test has failed.
    """
    async with asyncio.timeout(within):
        [event] = [event async for event in trigger.run()]
    payload: dict[str, Any] = event.payload
    return payload


async def until(condition: Callable[[], bool], *, within: float = 20.0) -> None:
    """
    Wait until a condition is true.

    :param within: Seconds after which the test has failed.
    """
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
