# SPDX-License-Identifier: Apache-2.0
"""Two triggerers share the waits, and the service's limit."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from airflow_provider_agentruns.emulator.server import Emulator
from tests.scale.airflow import SCALE, airflow_at_scale
from tests.scale.many import Many
from tests.scale.runs import AGENTS, Runs

#: Requests within one second. With a small one, such as 3, they queue all the time.
LIMIT = int(os.environ.get("RATE_LIMIT", "20"))


def test_two_triggerers_share_the_work_and_the_limit(tmp_path: Path, own_blocks: list[float]) -> None:
    service = Emulator(agents=AGENTS, rate_limit=LIMIT, extra={"rate_limit": LIMIT})
    # Neither of the two can have all of the waits.
    capacity = SCALE * 3 // 4
    with service as emulator, airflow_at_scale(tmp_path / "airflow", emulator, capacity=capacity) as airflow:
        airflow.start("triggerer", beside=True)
        runs = Runs(emulator, SCALE)
        many = Many(airflow, "many_runs", SCALE, {"run_ids": runs.ids})
        many.wait_until_deferred()

        first = range(SCALE // 3)
        runs.end(first)
        many.say(f"{len(first)} runs have ended")
        many.wait_until("success", len(first))
        runs.end(range(len(first), SCALE))
        many.say("all runs have ended")
        many.wait_until_done()

        found = many.check(runs)
        shares = Counter(triggerer for wait in found.by_number.values() for triggerer in wait.watched_by)
        many.say(f"waits by triggerer: {dict(shares)}")
        assert len(shares) == 2
        assert shares.total() == SCALE

        statuses = Counter(request.status for request in emulator.requests)
        many.say(f"answers by status: {dict(statuses)}; most requests within a second: {most_at_once(emulator)}")
        assert set(statuses) == {200}
        assert most_at_once(emulator) <= LIMIT
        many.check_watchdog(found, own_blocks)


def most_at_once(emulator: Emulator) -> int:
    """Return the most requests that came within one second."""
    moments = sorted(request.at for request in emulator.requests)
    first = most = 0
    for count, moment in enumerate(moments, 1):
        while moments[first] <= moment - 1:
            first += 1
        most = max(most, count - first)
    return most
