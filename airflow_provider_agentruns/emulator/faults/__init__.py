# SPDX-License-Identifier: Apache-2.0
"""
Faults of the offline service: what happens to a request on its way, or to the answer on its way back.

One of your own may do what the built-in ones do::

    @dataclass(frozen=True, kw_only=True)
    class AnswersWithoutBody(Fault):
        async def meet(self, exchange):
            async with exchange.carried_out() as answer:
                await exchange.whole(answer.status, answer.headers, b"")

    emulator.faults.add(AnswersWithoutBody(), "POST", "/v1/runs", times=1)

What is where:

- ``base`` -- what a fault is, and the registry
- ``network``, ``timing``, ``statuses``, ``bodies``, ``content``, ``lagging``, ``streams`` -- the built-in ones
- ``rules``, ``plan``, ``lineup`` -- which requests they meet, how that is written, and what is in force
- ``describing`` -- what ``--list-faults`` shows
- ``messages``, ``exchange``, ``layer``, ``owners`` -- how they happen
"""

from __future__ import annotations

from airflow_provider_agentruns.emulator.faults import (  # noqa: F401 -- they put themselves into the registry
    bodies,
    content,
    lagging,
    network,
    statuses,
    streams,
    timing,
)
from airflow_provider_agentruns.emulator.faults.base import FAULTS, Fault, FaultError
from airflow_provider_agentruns.emulator.faults.lineup import Faults
from airflow_provider_agentruns.emulator.faults.rules import InForce, Rule

__all__ = ["FAULTS", "Fault", "FaultError", "Faults", "InForce", "Rule"]
