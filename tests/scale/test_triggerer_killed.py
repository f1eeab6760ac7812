# SPDX-License-Identifier: Apache-2.0
"""The triggerer is killed while it waits for many runs."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_agentruns.emulator.server import Emulator
from tests.scale.airflow import SCALE, airflow_at_scale
from tests.scale.many import Many
from tests.scale.runs import AGENTS, Runs


def test_every_wait_survives_the_triggerer_and_ends_once(tmp_path: Path) -> None:
    with Emulator(agents=AGENTS) as emulator, airflow_at_scale(tmp_path / "airflow", emulator) as airflow:
        runs = Runs(emulator, SCALE)
        many = Many(airflow, runs)
        many.wait_until_deferred()
        airflow.kill("triggerer")
        runs.end(range(SCALE // 3))
        many.say("The triggerer is dead, and a third of the runs have ended")
        airflow.start("triggerer")
        many.wait_until("success", 1)
        runs.end(range(SCALE // 3, SCALE))
        many.say("All runs have ended")
        many.wait_until_done()
        many.check()
        assert {len(triggerers) for triggerers in many.triggerers().values()} == {2}
        many.say(f"Requests: {len(emulator.requests)}")
