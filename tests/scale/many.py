# SPDX-License-Identifier: Apache-2.0
"""Many tasks that wait at the same time: starting them, and telling whether all came out as they should."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from tests.scale.airflow import SECONDS_PER_TASK
from tests.scale.evidence import Waits, blocked, waits, watched, workers_gone
from tests.scale.runs import Runs
from tests.support.standalone import Standalone

#: How long things may take that are not done once for each task, in seconds.
_PATIENCE = 180

#: A triggerer that stands still for less, in seconds, may just not have got a processor.
_NOTICED = 1.0


class Ends(Protocol):
    """What the tasks wait for."""

    def end(self, numbers: Iterable[int]) -> None:
        """Let the waits of some tasks end."""


class Many:
    """
    The instances of the mapped task ``wait`` of a DAG, which is started.

    :param conf: What the DAG run is started with.
    """

    def __init__(self, airflow: Standalone, dag_id: str, count: int, conf: dict[str, Any]) -> None:
        self.airflow = airflow
        self.dag_id = dag_id
        self.count = count
        self._began = time.monotonic()
        self.dag_run = airflow.start_dag(dag_id, conf)

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return time.monotonic() - self._began

    def say(self, what: str) -> None:
        """Tell whoever watches the test how far it has come."""
        print(f"{self.dag_id} {self.seconds:6.0f} s: {what}", flush=True)

    def live_through_a_crash(self, ends: Ends) -> None:
        """Let all wait, kill their triggerer, let a third end while there is none, and the others after that."""
        self.wait_until_deferred()
        self.airflow.kill("triggerer")
        meanwhile = range(self.count // 3)
        ends.end(meanwhile)
        self.say(f"the triggerer is dead, and {len(meanwhile)} waits are over")
        self.airflow.start("triggerer")
        self.say("a new triggerer is there")
        self.wait_until("success", 1)
        ends.end(range(len(meanwhile), self.count))
        self.say("all waits are over")
        self.wait_until_done()

    def wait_until_deferred(self) -> None:
        """Wait until all are deferred, and have a trigger that runs."""
        self.wait_until("deferred", self.count)
        self._wait_for(lambda: watched(self.airflow, self.dag_id, self.dag_run) == self.count, "a trigger for each")
        # Airflow fails a task that is woken before its scheduler has heard of the end of the worker that deferred it.
        self._wait_for(lambda: workers_gone(self.airflow, "deferred") >= self.count, "the end of the workers")
        time.sleep(5)
        self.say("each has a trigger that runs")

    def wait_until_done(self) -> None:
        """Wait until all have succeeded."""
        self.wait_until("success", self.count)
        self.airflow.wait_for_dag(self.dag_id, self.dag_run)

    def wait_until(self, state: str, count: int) -> None:
        """
        Wait until as many are in a state.

        :raises AssertionError: If one fails meanwhile.
        """
        said = 0

        def reached() -> bool:
            nonlocal said
            time.sleep(1)  # Each look is work for a machine that has enough to do.
            if failed := self._count("failed"):
                raise AssertionError(f"{failed} tasks failed; their logs are in {self.airflow.home}")
            now = self._count(state)
            if now >= said + self.count / 10 or now >= count:
                self.say(f"{now} are {state}")
                said = now
            return now >= count

        self._wait_for(reached, f"{count} tasks in the state {state}")

    def waits(self) -> Waits:
        """Return what the logs say."""
        return waits(self.airflow, self.dag_id, self.dag_run)

    def check(self, runs: Runs) -> Waits:
        """Check that each task was woken once, by the end of its own run, and return what the logs say."""
        instances = [ti for ti in self.airflow.task_instances(self.dag_id, self.dag_run) if ti["task_id"] == "wait"]
        assert Counter((ti["state"], ti["try_number"]) for ti in instances) == {("success", 1): self.count}
        found = self.waits()
        assert sorted(found.by_number) == list(range(self.count))
        for number, wait in found.by_number.items():
            assert self.airflow.xcom(self.dag_id, self.dag_run, "wait", map_index=number) == runs.xcom(number)
            assert (wait.deferrals, wait.events) == (1, 1), f"{number}: {wait}"
            assert wait.seen == ["running", runs.status(number)], f"{number}: {wait}"
        self.say("all were woken once, each by the end of its own run")
        return found

    def check_watchdog(self, found: Waits, own_blocks: list[float]) -> None:
        """
        Check that no triggerer stood still for longer than Airflow itself makes it stand still.

        It does while many triggers begin or end within seconds: a triggerer writes lines for each to a pipe, which is
        full as long as its other half is busy with the database.

        :param own_blocks: For how long it did for waits of Airflow's own, each time, in seconds.
        """
        blocks = blocked(found)
        self.say(f"Airflow's watchdog: {blocks or 'silent'}")
        assert max(blocks, default=0) <= max([_NOTICED, *(2 * seconds for seconds in own_blocks)])
        assert sum(blocks) <= max(sum(own_blocks), self.seconds / 20)

    def _count(self, state: str) -> int:
        return self.airflow.count(self.dag_id, self.dag_run, "wait", state)

    def _wait_for(self, condition: Callable[[], bool], what: str) -> None:
        self.airflow.wait_for(condition, what, _PATIENCE + SECONDS_PER_TASK * self.count)
