# SPDX-License-Identifier: Apache-2.0
"""A service over HTTP whose runs and responses a test controls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.support.scripted_server import Received, Reply, ScriptedServer, Serve, answer, errors
from tests.triggers.waiting import event_of, until

#: Returns a response, or None for the usual one.
Instead = Callable[[Received], Reply | None]


class Service:
    """
    Responds to the requests of a :class:`ScriptedServer`.

    :param count: How many runs there are, with the ids ``r-0``, ``r-1``, ...
    :param listing: Responds to requests for the listing.
    :param single: Responds to requests for a single run.
    """

    def __init__(self, count: int, *, listing: Instead = lambda _: None, single: Instead = lambda _: None) -> None:
        self.statuses = {f"r-{number}": "running" for number in range(count)}
        #: Runs that the listing does not show.
        self.hidden: set[str] = set()
        #: The only valid token; None if every token is.
        self.token: str | None = None
        self.listing = listing
        self.single = single

    @property
    def ids(self) -> list[str]:
        return list(self.statuses)

    def end(self, *ids: str, status: str = "completed") -> None:
        self.statuses.update(dict.fromkeys(ids or self.ids, status))

    def shown(self, run_id: str) -> dict[str, Any]:
        return {"id": run_id, "status": self.statuses[run_id]}

    def page(self) -> Reply:
        shown = [self.shown(run_id) for run_id in self.ids if run_id not in self.hidden]
        return answer({"object": "list", "has_more": False, "data": shown})

    def __call__(self, request: Received) -> Reply:
        if self.token and request.headers["authorization"] != f"Bearer {self.token}":
            return errors(401, "unknown token")
        if request.path == "/v1/runs":
            return self.listing(request) or self.page()
        run_id = request.path.rpartition("/")[2]
        if (reply := self.single(request)) is not None:
            return reply
        return answer(self.shown(run_id)) if run_id in self.statuses else errors(404, f"There is no run {run_id}")


def waiting(
    *ids: str, interval: float = 0.2, within: float = 20.0, **arguments: Any
) -> list[asyncio.Task[dict[str, Any]]]:
    """Run a trigger for each run, in a task of its own as in the triggerer."""
    return [
        asyncio.create_task(event_of(AgentRunTrigger(run_id, poll_interval=interval, **arguments), within=within))
        for run_id in ids
    ]


async def waiting_with_token(
    serve: Serve, count: int
) -> tuple[Service, ScriptedServer, list[asyncio.Task[dict[str, Any]]]]:
    """Run a trigger for each run of a service that accepts ``token-0``, and wait until the runs are polled."""
    service = Service(count)
    service.token = "token-0"
    server = serve(service, token=service.token)
    tasks = waiting(*service.ids)
    await until(lambda: len(server.requests) >= 2)
    return service, server, tasks


def outcomes(events: list[dict[str, Any]]) -> set[str]:
    assert all(json.dumps(event) for event in events)
    return {event.get("status") or event["error"] for event in events}
