# SPDX-License-Identifier: Apache-2.0
"""Many tasks that wait at the same time: starts them, and checks that each ended once, for its own run."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.scale.airflow import SECONDS_PER_TASK
from tests.scale.runs import Runs
from tests.support.standalone import Standalone

#: How long a step may take that does not depend on the number of tasks, in seconds.
_PATIENCE = 300

_EVENT = "Trigger fired event"
_BLOCKED = re.compile(r"Triggerer's async thread was blocked for ([\d.]+) seconds")


class Many:
    """The instances of the mapped task ``many_runs.wait``, one for each run. They are started at once."""

    def __init__(self, airflow: Standalone, runs: Runs) -> None:
        self.airflow = airflow
        self.runs = runs
        self.count = len(runs.ids)
        self._started = time.monotonic()
        self.dag_run = airflow.start_dag("many_runs", {"run_ids": runs.ids})

    def say(self, text: str) -> None:
        """Print a line of progress."""
        print(f"{time.monotonic() - self._started:6.0f} s: {text}", flush=True)

    def wait_until_deferred(self) -> None:
        """Wait until all tasks are deferred and their triggers run."""
        self.wait_until("deferred", self.count)
        self._wait_for(lambda: len(self.triggerers()) == self.count, "run all triggers")
        # Airflow fails a task that resumes before the scheduler has noticed the end of the worker that deferred it.
        self._wait_for(lambda: self._log().count("final_state=deferred") >= self.count, "notice the workers' end")
        time.sleep(5)

    def wait_until_done(self) -> None:
        """Wait until all tasks have succeeded."""
        self.wait_until("success", self.count)
        self.airflow.wait_for_dag("many_runs", self.dag_run)

    def wait_until(self, state: str, count: int) -> None:
        """
        Wait until a number of tasks is in a state.

        :raises AssertionError: If a task fails.
        """
        printed = 0

        def reached() -> bool:
            nonlocal printed
            time.sleep(1)
            if failed := self._count("failed"):
                raise AssertionError(f"{failed} tasks failed; their logs are in {self.airflow.home}")
            now = self._count(state)
            if now >= printed + self.count / 10 or now >= count:
                self.say(f"{now} tasks are {state}")
                printed = now
            return now >= count

        self._wait_for(reached, f"bring {count} tasks to {state}")

    def triggerers(self) -> dict[int, set[str]]:
        """Return the IDs of the triggerers that have run each task's trigger, by map index."""
        return {
            index: {path.name.split(".")[-2] for path in paths}
            for index, paths in self._trigger_logs().items()
            if paths
        }

    def check(self) -> None:
        """
        Check that each task ended once, at its first try, with the result of its own run.

        Prints how often Airflow reported a blocked triggerer: this depends on the machine.
        """
        instances = [ti for ti in self.airflow.task_instances("many_runs", self.dag_run) if ti["task_id"] == "wait"]
        assert Counter((ti["state"], ti["try_number"]) for ti in instances) == {("success", 1): self.count}
        for number in range(self.count):
            assert self.airflow.xcom("many_runs", self.dag_run, "wait", map_index=number) == self.runs.xcom(number)
        # A triggerer that reads a trigger's last lines after its end writes them to its own log.
        pattern = rf"{_EVENT} .*many_runs/{re.escape(self.dag_run)}/wait/(\d+)/"
        events = Counter(map(int, re.findall(pattern, self._log())))
        for index, paths in self._trigger_logs().items():
            events[index] += sum(line["event"] == _EVENT for path in paths for line in _lines(path))
        assert events == dict.fromkeys(range(self.count), 1)
        self.say(f"The triggerer was blocked for (seconds): {_BLOCKED.findall(self._log()) or 'never'}")

    def _trigger_logs(self) -> dict[int, list[Path]]:
        folder = self.airflow.home / "logs" / "dag_id=many_runs" / f"run_id={self.dag_run}" / "task_id=wait"
        return {
            int(path.name.partition("=")[2]): list(path.glob("attempt=*.log.trigger.*.log"))
            for path in folder.glob("map_index=*")
        }

    def _log(self) -> str:
        return self.airflow.log_file.read_text(errors="replace")

    def _count(self, state: str) -> int:
        return self.airflow.count("many_runs", self.dag_run, "wait", state)

    def _wait_for(self, condition: Callable[[], bool], what: str) -> None:
        self.airflow.wait_for(condition, what, _PATIENCE + SECONDS_PER_TASK * self.count)


def _lines(path: Path) -> list[dict[str, str]]:
    # A process that is killed can leave an incomplete line.
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
