# SPDX-License-Identifier: Apache-2.0
"""
What ``make demo`` shows: example DAGs in a whole Airflow, against the offline service.

Prints what happens while it happens, then each run's life and the artifacts that reached XCom, and fails
where these are not what the service holds.
"""

from __future__ import annotations

import argparse
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.standalone import Standalone

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".demo"
DAGS = ("example_agent_run", "example_agent_run_mapped")

_MEANING = {
    "running": "a worker is at it",
    "deferred": "waits in the triggerer; no worker is held",
    "success": "done",
    "failed": "failed",
}

console = Console(highlight=False, width=110)


def say(who: str, what: str) -> None:
    """Print one line of what happens."""
    now = datetime.now(UTC).strftime("%H:%M:%S")
    console.print(Text.assemble((f"{now}  ", "dim"), (f"{who:<9}", "bold"), what))


class Watcher:
    """
    Tells of each change of a task instance or a run, once.

    :param dag_runs: DAG id to DAG run id.
    """

    def __init__(self, airflow: Standalone, emulator: Emulator, dag_runs: dict[str, str]) -> None:
        self._airflow = airflow
        self._emulator = emulator
        self._dag_runs = dag_runs
        self._seen: dict[tuple[str, ...], str] = {}

    def watch(self) -> dict[str, str]:
        """Watch until all DAG runs have ended, and return their states."""
        while True:
            states = {dag: self._airflow.dag_run_state(dag, dag_run) for dag, dag_run in self._dag_runs.items()}
            for dag, dag_run in self._dag_runs.items():
                for ti in self._airflow.task_instances(dag, dag_run):
                    self._task(dag, ti)
            for run in list(self._emulator.service.runs.values()):
                self._tell(("run", run.id), run.status, "service", f"run {run.id[:8]} ({run.agent}) is {run.status}")
            if not set(states.values()) & {"queued", "running"}:
                return states
            time.sleep(0.15)

    def _task(self, dag: str, ti: dict[str, Any]) -> None:
        if (state := ti["state"]) in _MEANING:
            index = f"[{ti['map_index']}]" if ti["map_index"] >= 0 else ""
            name = f"{dag}.{ti['task_id']}{index}"
            self._tell(("task", dag, ti["task_id"], index), state, "airflow", f"{name}: {state} ({_MEANING[state]})")

    def _tell(self, key: tuple[str, ...], state: str, who: str, what: str) -> None:
        if self._seen.get(key) != state:
            self._seen[key] = state
            say(who, what)


def lives(runs: list[Run]) -> Table:
    """Return each run's life as a table."""
    table = Table(title="What became of the runs", title_justify="left")
    for column in ("run", "agent", "started", "ended", "seconds", "steps", "status"):
        table.add_column(column, justify="right" if column in ("seconds", "steps") else "left")
    for run in runs:
        ended = run.ended_at
        table.add_row(
            run.id,
            run.agent,
            f"{run.created_at:%H:%M:%S}",
            f"{ended:%H:%M:%S}" if ended else "",
            f"{(ended - run.created_at).total_seconds():.1f}" if ended else "",
            str(len(run.as_json(steps=True)["steps"])),
            run.status,
        )
    return table


def outputs(airflow: Standalone, dag_runs: dict[str, str]) -> dict[str, Any]:
    """Return run id to output, as they lie in XCom."""
    return {
        airflow.xcom(dag, dag_run, "review", "run_id", ti["map_index"]): airflow.xcom(
            dag, dag_run, "review", map_index=ti["map_index"]
        )
        for dag, dag_run in dag_runs.items()
        for ti in airflow.task_instances(dag, dag_run)
        if ti["task_id"] == "review"
    }


def show(airflow: Standalone, emulator: Emulator) -> bool:
    """Run the DAGs and show all there is to see; return whether it is as it should be."""
    dag_runs = {dag: airflow.start_dag(dag) for dag in DAGS}
    states = Watcher(airflow, emulator, dag_runs).watch()
    runs = list(emulator.service.runs.values())
    console.print()
    console.print(lives(runs))
    if set(states.values()) != {"success"}:
        console.print(f"Not all went well: {states}. See {airflow.log_file.relative_to(ROOT)}", style="bold red")
        return False
    console.print(
        f"Started by {emulator.count('POST', '/v1/runs')} requests; "
        f"waited for with {emulator.count('GET', '/v1/runs.*')} more."
    )
    console.print("\nWhat reached XCom, for the next task to read:\n", style="bold")
    found = outputs(airflow, dag_runs)
    for run_id, output in found.items():
        for artifact in output["artifacts"]:
            console.print(
                Panel(
                    Text(str(artifact.get("summary"))),
                    title=Text(str(artifact["title"]), "bold"),
                    subtitle=f"{artifact['type']}, confidence {artifact.get('confidence')}, run {run_id[:8]}",
                    title_align="left",
                    subtitle_align="left",
                )
            )
    if found != {run.id: run.output for run in runs}:
        console.print("XCom does not hold what the service holds.", style="bold red")
        return False
    return True


def main() -> int:
    """Run the demo, and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave Airflow open afterwards, to look around")
    keep = parser.parse_args().keep
    shutil.rmtree(HOME, ignore_errors=True)
    say("demo", "starts an offline agent service and a whole Airflow; that takes about half a minute")
    with Emulator(seed=int(time.time())) as emulator:
        connection = {"AIRFLOW_CONN_AGENTRUNS_DEFAULT": emulator.connection_uri}
        with Standalone(HOME, ROOT / "example_dags", connection) as airflow:
            say("demo", f"Airflow is ready at {airflow.url}, the service at {emulator.url}")
            good = show(airflow, emulator)
            if keep:
                console.print(f"\nAirflow stays open at {airflow.url} until Ctrl-C.", style="bold")
                try:
                    while True:
                        time.sleep(1)
                except KeyboardInterrupt:
                    console.print()
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
