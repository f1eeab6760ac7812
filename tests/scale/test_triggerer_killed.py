# SPDX-License-Identifier: Apache-2.0
"""The machine of the triggerer goes down while it waits for many runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from airflow_provider_agentruns.emulator.server import Emulator
from tests.scale.airflow import SCALE, airflow_at_scale
from tests.scale.many import Many
from tests.scale.runs import AGENTS, Runs


def test_every_wait_outlives_the_triggerer_and_ends_once(tmp_path: Path, own_blocks: list[float]) -> None:
    with Emulator(agents=AGENTS) as emulator, airflow_at_scale(tmp_path / "airflow", emulator) as airflow:
        runs = Runs(emulator, SCALE)
        many = Many(airflow, "many_runs", SCALE, {"run_ids": runs.ids})
        many.live_through_a_crash(runs)

        found = many.check(runs)
        # Each was handed over by the one triggerer to the other.
        assert Counter(len(wait.watched_by) for wait in found.by_number.values()) == {2: SCALE}
        many.say(f"requests of the service: {len(emulator.requests)}")
        many.check_watchdog(found, own_blocks)
