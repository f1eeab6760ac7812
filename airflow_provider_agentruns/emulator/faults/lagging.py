# SPDX-License-Identifier: Apache-2.0
"""A listing that lags behind what the service knows."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request

from airflow_provider_agentruns.emulator.bodies import page_and_size
from airflow_provider_agentruns.emulator.faults.base import Fault, always, at_least, known_as
from airflow_provider_agentruns.emulator.faults.exchange import Exchange
from airflow_provider_agentruns.emulator.faults.messages import Incoming
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.scripts import Json
from airflow_provider_agentruns.emulator.service import Service

_LOOK = 100


@known_as("listing lags")
@dataclass(frozen=True, kw_only=True)
class ListingLags(Fault):
    """
    Shows the listing of runs as it was some seconds ago: newer runs and changes are not in it yet. Carried out.

    :param seconds: How far it is behind, by the clock of the service.
    """

    seconds: float = at_least(0, 2.0)
    taken: bool = always()

    def applies(self, request: Incoming, since: float) -> bool:
        """Meet the listing of runs."""
        return (request.method, request.path) == ("GET", "/v1/runs")

    async def meet(self, exchange: Exchange) -> None:
        """Show the past."""
        async with exchange.carried_out() as answer:
            body = await answer.body()
            if answer.status == 200:
                query = {"type": "http", "query_string": exchange.request.query.encode(), "headers": []}
                page, size = page_and_size(Request(query))
                body = json.dumps(_listing(exchange.request.service, self.seconds, page, size)).encode()
            await exchange.whole(answer.status, answer.headers, body)


def _listing(service: Service, seconds: float, page: int, size: int) -> Json:
    with service.lock:
        at = service.clock() - timedelta(seconds=seconds)
        newer = _newer(service, at)
        first = newer + (page - 1) * size
        # Its pages begin elsewhere than ours: a page of ours is on two of its.
        number, skipped = divmod(first, size)
        total = 0
        found: list[Run] = []
        for its_page in (number + 1, number + 2):
            listed = service.list_runs(its_page, size)
            total = listed.total_count
            found += listed.items
        return {
            "object": "list",
            "has_more": first + size < total,
            "total_count": total - newer,
            "data": [_as_it_was(run, at) for run in found[skipped : skipped + size]],
        }


def _newer(service: Service, at: datetime) -> int:
    """Count the runs that came after a moment."""
    count = page = 0
    while True:
        page += 1
        listed = service.list_runs(page, _LOOK)
        newer = sum(run.created_at > at for run in listed.items)
        count += newer
        if newer < _LOOK:
            return count


def _as_it_was(run: Run, at: datetime) -> Json:
    changes = bisect_right(run.changes, at)
    return run.as_json(at=run.changes[changes - 1])
