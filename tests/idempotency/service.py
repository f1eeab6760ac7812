# SPDX-License-Identifier: Apache-2.0
"""
A service in which each request can have a fault, with a clock that may be wrong.

``tests/idempotency`` serves it over HTTP. ``tests/conformance`` calls it with random faults.
"""

from __future__ import annotations

import copy
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import pendulum
from hypothesis import currently_in_test_context, note

from tests.support.scripted_server import LOST, RESET_BEFORE, Received, Reply, answer, errors, html

Order = Literal["newest first", "oldest first", "by last change", "none"]


@dataclass(frozen=True, slots=True)
class Fault:
    """
    The fault of one request.

    :param reply: ``ok`` for the service's own response; otherwise the fault, or a status as a number.
    :param done: When the service carries it out. A number counts seconds from the moment at which the sender has seen
        the failure or died.
    :param takes: Seconds until the sender gets a response or an error.
    """

    reply: Literal["ok", "lost", "unsent", "unreadable"] | int = "ok"
    done: Literal["at once", "never"] | float = "at once"
    takes: float = 0.0


FINE = Fault()

#: The service executes the request, and its response is lost.
ANSWER_LOST = Fault("lost")

#: The service does not get the request, and the sender cannot know that.
REQUEST_LOST = Fault("lost", "never")


class Clock:
    """
    Time that passes only during a sleep.

    :ivar ahead: Seconds by which the clock of this machine is ahead.
    """

    def __init__(self) -> None:
        self.moment = pendulum.datetime(2026, 8, 1, 12, 0, 0, 400_000)
        self.slept: list[float] = []
        self.ahead = 0.0

    def now(self, tz: object = None) -> pendulum.DateTime:
        return self.moment.add(seconds=self.ahead)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.moment = self.moment.add(seconds=seconds)


class Service:
    """
    Responds to requests. The attributes set its peculiarities.

    :ivar skew: Seconds by which its clock is ahead.
    :ivar page_size: The most runs or threads that a page holds.
    :ivar shows_after: Seconds until a new run shows in the listing.
    :ivar posts_faults: The faults of the next POSTs, in order; ``gets_faults`` are those of GETs.
    :ivar carried_out: Called before a POST takes effect.
    :ivar threads_by_business: Whether threads can be listed by business, or what comes instead.
    :ivar all_threads: Whether threads can be listed at all, or what comes instead.
    :ivar threads_tell: Whether a thread names its subject.
    :ivar meanwhile: Called after each page of runs.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.runs: list[dict[str, Any]] = []
        self.threads: dict[str, dict[str, Any]] = {}
        self.seen: list[Received] = []
        self.skew = 0.0
        self.order: Order = "newest first"
        self.page_size = 100
        self.shows_after = 0.0
        self.tells_time = True
        self.tells_total = True
        self.posts_faults: list[Fault] = []
        self.gets_faults: list[Fault] = []
        self.carried_out: Callable[[Received], object] = lambda request: None
        self.threads_by_business: bool | Reply = True
        self.all_threads: bool | Reply = True
        self.threads_tell = False
        self.meanwhile: Callable[[], object] = lambda: None
        self._plan: list[tuple[pendulum.DateTime, int, Callable[[], object]]] = []
        self._order_of_plan = itertools.count()

    @property
    def posts(self) -> list[Received]:
        return [request for request in self.seen if request.method == "POST"]

    @property
    def now(self) -> pendulum.DateTime:
        return self.clock.moment.add(seconds=self.skew)

    def add_run(
        self,
        agent: str = "instant",
        *,
        business_id: str | None = None,
        thread_id: str | None = None,
        age: float = 0.0,
        **fields: Any,
    ) -> dict[str, Any]:
        """Hold another run, created some seconds ago, in a thread of its own or in one that is there."""
        number = len(self.runs) + 1
        created = self.now.subtract(seconds=age)
        if thread_id is None:
            thread_id = f"t-{number}"
            self.threads[thread_id] = {"id": thread_id, "business_id": business_id, "created": created}
        run: dict[str, Any] = {"object": "run", "id": f"r-{number}", "status": "running", "agent": agent}
        run |= {"thread_id": thread_id, "interrupts": [], "shown": created.add(seconds=self.shows_after)}
        run |= {"created_at": created.isoformat(), "updated_at": created.isoformat(), **fields}
        self.runs.append(run)
        return run

    def run(self, run_id: str) -> dict[str, Any]:
        return next(run for run in self.runs if run["id"] == run_id)

    def at(self, seconds: float, happening: Callable[[], object]) -> None:
        heapq.heappush(self._plan, (self.clock.moment.add(seconds=seconds), next(self._order_of_plan), happening))

    def catch_up(self) -> None:
        now = self.clock.moment
        while self._plan and self._plan[0][0] <= now:
            self.clock.moment, _, happening = heapq.heappop(self._plan)
            happening()
        self.clock.moment = now

    def __call__(self, request: Received) -> Reply:
        faults = self.gets_faults if request.method == "GET" else self.posts_faults
        fault = faults.pop(0) if faults else FINE
        self.catch_up()
        show(f"{self.clock.moment:HH:mm:ss.S} {request.method} {request.target}: {fault}")
        if fault.reply != "unsent":
            self.seen.append(request)
        reply = None
        if request.method == "GET" or fault.done == "at once":
            reply = self._carry_out(request)
        elif fault.done != "never":
            self.at(fault.takes + float(fault.done), lambda: self._carry_out(request))
        self.clock.moment = self.clock.moment.add(seconds=fault.takes)
        match fault.reply:
            case "ok" if reply:
                return self._dated(reply)
            case "unsent":
                return RESET_BEFORE
            case "unreadable":
                return html(201)
            case int(status):
                return self._dated(errors(status, "no", Retry_After="0"))
            case _:
                return LOST

    def _carry_out(self, request: Received) -> Reply:
        if request.method == "GET":
            return self._get(request)
        self.carried_out(request)
        return self._post(request)

    def _dated(self, reply: Reply) -> Reply:
        date = {"Date": self.now.format("ddd, DD MMM YYYY HH:mm:ss [GMT]")} if self.tells_time else {}
        return replace(reply, headers={**reply.headers, **date})

    def _get(self, request: Received) -> Reply:
        match request.path.strip("/").split("/"):
            case ["v1", "runs"]:
                page = self._page([run for run in self._in_order() if run["shown"] <= self.now], request)
                self.meanwhile()
                return page
            case ["v1", "runs", run_id]:
                found = [run for run in self.runs if run["id"] == run_id]
                return answer(_shown(found[0])) if found else errors(404, "no such run")
            case ["v1", "threads"]:
                return self._list_threads(request)
            case ["v1", "threads", thread_id] if thread_id in self.threads:
                return answer(self._shown_thread(self.threads[thread_id]))
        return errors(404, "no such thing")

    def _post(self, request: Received) -> Reply:
        match request.path.strip("/").split("/"):
            case ["v1", "runs"]:
                return self._create(request.json)
            case ["v1", "runs", run_id, "resume"]:
                return self._resume(self.run(run_id), request.json)
        return errors(404, "no such thing")

    def _create(self, body: dict[str, Any]) -> Reply:
        business_id = body.get("business_id") or body.get("context_id")
        run = self.add_run(body["type"], business_id=business_id, thread_id=body.get("thread_id"))
        return answer(_shown(run), 201)

    def _resume(self, run: dict[str, Any], body: dict[str, Any]) -> Reply:
        pending = [interrupt for interrupt in run["interrupts"] if interrupt["id"] == body["interrupt_id"]]
        if not pending:
            return errors(409, "that interrupt is not pending")
        run["interrupts"].remove(pending[0])
        run.setdefault("answers", []).append(body["input"])
        run["status"] = "interrupted" if run["interrupts"] else "running"
        # No two changes are at the same moment, though this clock stands still between two pauses.
        run["updated_at"] = pendulum.parse(run["updated_at"]).add(microseconds=1).isoformat()
        return answer(_shown(run))

    def _in_order(self) -> list[dict[str, Any]]:
        if self.order == "none":
            return random.Random(7).sample(self.runs, len(self.runs))  # noqa: S311 -- not for secrets
        key = "updated_at" if self.order == "by last change" else "created_at"
        return sorted(self.runs, key=lambda run: str(run[key]), reverse=self.order != "oldest first")

    def _list_threads(self, request: Received) -> Reply:
        business_id = request.query.get("business_id")
        works = self.threads_by_business if business_id else self.all_threads
        if isinstance(works, Reply):
            return works
        listed = [t for t in self.threads.values() if works and business_id in (None, t["business_id"])]
        newest_first = sorted(listed, key=lambda thread: str(thread["created"]), reverse=True)
        return self._page([self._shown_thread(thread) for thread in newest_first], request)

    def _shown_thread(self, thread: dict[str, Any]) -> dict[str, Any]:
        metadata = {"business_id": thread["business_id"]} if self.threads_tell and thread["business_id"] else {}
        return {"object": "thread", "id": thread["id"], "status": "running", "metadata": metadata}

    def _page(self, entries: list[dict[str, Any]], request: Received) -> Reply:
        size = min(self.page_size, int(request.query["per_page"]))
        start = (int(request.query["page"]) - 1) * size
        document: dict[str, Any] = {"object": "list", "has_more": len(entries) > start + size}
        document["data"] = [_shown(entry) for entry in entries[start : start + size]]
        return answer(document | ({"total_count": len(entries)} if self.tells_total else {}))


def _shown(held: dict[str, Any]) -> dict[str, Any]:
    return {name: copy.deepcopy(value) for name, value in held.items() if name not in ("shown", "answers")}


def show(what: str) -> None:
    """Print a step of a random history if that fails."""
    if currently_in_test_context():
        note(what)
