# SPDX-License-Identifier: Apache-2.0
"""A service with a listing of any kind, for :class:`~tests.support.scripted_server.ScriptedServer`."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from tests.support.scripted_server import Received, Reply, answer, errors

Json = dict[str, Any]


class Listing:
    """The runs of a service, listed in some order, at most ``largest`` per page, and with or without a total count."""

    def __init__(
        self,
        order: Literal["newest first", "oldest first", "by id"] = "newest first",
        *,
        largest: int = 20,
        counts: bool = True,
    ) -> None:
        self.order = order
        self.largest = largest
        self.counts = counts
        self.runs: dict[str, Json] = {}
        #: Returns a response to send instead of the usual one.
        self.fault: Callable[[Received], Reply | None] = lambda request: None

    def add(self, run_id: str, status: str = "running", *asked: str, age: float = 0.0, **more: Any) -> None:
        created = datetime.fromtimestamp(time.time() - age, UTC).isoformat()
        created = self.runs.get(run_id, {}).get("created_at", created)
        interrupts = [{"id": interrupt_id, "value": {}} for interrupt_id in asked]
        output = {"artifacts": []} if status == "completed" else None
        fields = {"agent": "a", "created_at": created, "interrupts": interrupts, "output": output}
        self.runs[run_id] = {"id": run_id, "status": status, **fields, **more}

    def add_old(self, count: int, status: str = "completed") -> None:
        for number in range(count):
            # Their ids are in no order.
            self.add(f"{number * 7919 % 1009:04}-old-{number}", status, age=5000 + 100 * (count - number))

    def __call__(self, request: Received) -> Reply:
        if (fault := self.fault(request)) is not None:
            return fault
        if request.path != "/v1/runs":
            run = self.runs.get(request.path.rpartition("/")[2])
            return errors(404, "There is no such run") if run is None else answer(run)
        key = "id" if self.order == "by id" else "created_at"
        shown = list(self.runs.values())
        shown.sort(key=lambda run: run[key], reverse=self.order == "newest first")
        size = min(self.largest, int(request.query["per_page"]))
        end = int(request.query["page"]) * size
        page: Json = {"has_more": end < len(shown), "data": shown[end - size : end]}
        if self.counts:
            page["total_count"] = len(shown)
        return answer(page)
