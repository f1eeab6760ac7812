# SPDX-License-Identifier: Apache-2.0
"""Random changes, failures, and kills of the triggerer: each run is reported, and only a kill repeats an event."""

from __future__ import annotations

import random
import time
from types import SimpleNamespace

import pytest

from airflow_provider_agentruns.events import run_event_poller
from tests.events import listing
from tests.events.listing import Listing
from tests.events.test_run_event_poller import Polls
from tests.support.scripted_server import Serve, errors

FINISHED = ("completed", "error")
SEEDS = [pytest.param(seed, marks=pytest.mark.full if seed > 3 else ()) for seed in range(60)]


def change_some(runs: Listing, choose: random.Random) -> None:
    """Create some runs, some of which are listed late, and let others continue."""
    for _ in range(choose.choice([0, 3, 6, 50])):
        unfinished = [run_id for run_id, run in runs.runs.items() if run["status"] not in FINISHED]
        status = choose.choice(["running", "interrupted", *FINISHED])
        if unfinished and choose.random() < 0.5:
            runs.add(choose.choice(unfinished), status, f"i-{choose.randrange(9)}")
        else:
            age = choose.choice([0.0, 0.0, 0.0, choose.uniform(0, 400)])
            runs.add(f"{choose.randrange(10**6):06}-new-{len(runs.runs)}", status, "i-0", age=age)


@pytest.mark.parametrize("seed", SEEDS)
async def test_each_run_is_reported(seed: int, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    choose = random.Random(seed)  # noqa: S311 -- the same each time
    clock = SimpleNamespace(
        passed=0.0, monotonic=lambda: time.monotonic() + clock.passed, time=lambda: time.time() + clock.passed
    )
    for module in (run_event_poller, listing):
        monkeypatch.setattr(module, "time", clock)
    order = choose.choice(["newest first", "oldest first", "by id"])
    runs = Listing(order, largest=choose.choice([10, 20, 100]), counts=choose.random() < 0.5)
    for number in range(choose.randrange(80)):
        runs.add(f"old-{number}", choose.choice(["running", *FINISHED]), age=choose.uniform(60, 1e6))
    before = {run_id: run["status"] for run_id, run in runs.runs.items()}
    reported: list[tuple[str, str]] = []
    serve(runs, rate_limit=10_000)
    watcher = Polls()
    assert await watcher.once() == {}
    cursor, since_kill = watcher.tracker.model_copy(deep=True), 0
    for step in range(50):
        left = [errors(500, "Down")] * (choose.randrange(3) if step < 20 else 0)
        runs.fault = lambda request, left=left: left.pop() if left and choose.random() < 0.3 else None  # type: ignore[misc]
        if step < 20:
            change_some(runs, choose)
        clock.passed += choose.choice([30.5, 30.5, 30.5, 200.0, 700.0])
        reported += (await watcher.once()).items()
        finished = [event for event in reported[since_kill:] if event[1] in FINISHED]
        assert len(finished) == len(set(finished))
        if choose.random() < 0.1:
            # Sometimes the cursor of the last poll was not saved.
            await watcher.poller.close()
            watcher, since_kill = Polls(cursor.model_copy(deep=True)), len(reported)
            clock.passed += choose.choice([0.0, 5000.0])
        if choose.random() < 0.9:
            cursor = watcher.tracker.model_copy(deep=True)
    await watcher.poller.close()
    changed = {(run_id, run["status"]) for run_id, run in runs.runs.items() if before.get(run_id) != run["status"]}
    assert {event for event in changed if event[1] != "running"} <= set(reported)
    unchanged = set(before.items()) & {(run_id, run["status"]) for run_id, run in runs.runs.items()}
    assert not {event for event in unchanged if event[1] in FINISHED} & set(reported)
