# SPDX-License-Identifier: Apache-2.0
"""Many tasks that wait at the same time, in a triggerer that is killed."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from airflow_provider_agentruns.emulator.server import Emulator
from tests.scale.airflow import SCALE, airflow_at_scale
from tests.scale.runs import AGENTS, Runs
from tests.support.standalone import Standalone

#: How long each step may take, in seconds. Starting the process of each task twice takes most of it.
_PATIENCE = 300 + 6 * SCALE


class Many:
    """The instances of the mapped task ``many_runs.wait``, one for each run. They are started at once."""

    def __init__(self, airflow: Standalone, runs: Runs) -> None:
        self.airflow = airflow
        self.runs = runs
        self.count = len(runs.ids)
        self._started = time.monotonic()
        self.dag_run = airflow.start_dag("many_runs", {"run_ids": runs.ids})

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self._started:6.0f} s: {text}", flush=True)

    def wait_until_deferred(self) -> None:
        self.wait_until("deferred", self.count)
        self.airflow.wait_for(lambda: len(self.triggerers()) == self.count, "run all triggers", _PATIENCE)
        # Airflow fails a task that resumes before the scheduler has noticed the end of the worker that deferred it.
        log = self.airflow.log_file
        ended = b"final_state=deferred"
        self.airflow.wait_for(lambda: log.read_bytes().count(ended) >= self.count, "end the workers", _PATIENCE)
        time.sleep(5)

    def wait_until(self, state: str, count: int) -> None:
        """
        Wait until a number of tasks is in a state.

        :raises AssertionError: If a task fails.
        """

        def reached() -> bool:
            time.sleep(1)
            if failed := self.airflow.count("many_runs", self.dag_run, "wait", "failed"):
                raise AssertionError(f"{failed} tasks failed; their logs are in {self.airflow.home}")
            return self.airflow.count("many_runs", self.dag_run, "wait", state) >= count

        self.airflow.wait_for(reached, f"bring {count} tasks to {state}", _PATIENCE)
        self.say(f"{count} tasks are {state}")

    def triggerers(self) -> dict[str, set[str]]:
        """Return the IDs of the triggerers that have run the trigger of each task, by the task's log folder."""
        folder = self.airflow.home / "logs" / "dag_id=many_runs" / f"run_id={self.dag_run}" / "task_id=wait"
        found: dict[str, set[str]] = {}
        for path in folder.glob("map_index=*/attempt=*.log.trigger.*.log"):
            found.setdefault(path.parent.name, set()).add(path.name.split(".")[-2])
        return found

    def check(self) -> None:
        """Wait for the end, and check that each task ended at its first try with the result of its own run."""
        self.wait_until("success", self.count)
        self.airflow.wait_for_dag("many_runs", self.dag_run)
        instances = [ti for ti in self.airflow.task_instances("many_runs", self.dag_run) if ti["task_id"] == "wait"]
        assert Counter((ti["state"], ti["try_number"]) for ti in instances) == {("success", 1): self.count}
        for number in range(self.count):
            assert self.airflow.xcom("many_runs", self.dag_run, "wait", map_index=number) == self.runs.xcom(number)


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
        many.check()
        assert {len(triggerers) for triggerers in many.triggerers().values()} == {2}
        many.say(f"Requests: {len(emulator.requests)}")
