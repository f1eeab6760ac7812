# SPDX-License-Identifier: Apache-2.0
"""
``make demo``: example DAGs in a complete Airflow, against the offline service.

Prints each change of state and the artifacts in XCom. Fails if XCom and the service disagree.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.standalone import Standalone

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".demo"
DAGS = ("example_agent_run", "example_agent_run_mapped")

_MEANINGS = {
    "running": "occupies a worker",
    "deferred": "waits in the triggerer, without a worker",
    "success": "done",
    "failed": "failed",
}


def say(source: str, text: str) -> None:
    """Print one line with the time and its source."""
    print(f"{datetime.now(UTC):%H:%M:%S}  {source:<9}{text}", flush=True)


def follow(airflow: Standalone, emulator: Emulator, dag_runs: dict[str, str]) -> dict[str, str]:
    """
    Print each change of a task instance or an agent run until all DAG runs have ended, and return their states.

    :param dag_runs: DAG ID to DAG run ID.
    """
    printed: set[str] = set()

    def report(source: str, text: str) -> None:
        if text not in printed:
            printed.add(text)
            say(source, text)

    while True:
        states = {dag: airflow.dag_run_state(dag, dag_run) for dag, dag_run in dag_runs.items()}
        for dag, dag_run in dag_runs.items():
            for ti in airflow.task_instances(dag, dag_run):
                if (state := ti["state"]) in _MEANINGS:
                    index = f"[{ti['map_index']}]" if ti["map_index"] >= 0 else ""
                    report("airflow", f"{dag}.{ti['task_id']}{index}: {state} ({_MEANINGS[state]})")
        for run in list(emulator.service.runs.values()):
            report("service", f"run {run.id[:8]} ({run.agent}) is {run.status}")
        if not set(states.values()) & {"queued", "running"}:
            return states
        time.sleep(0.2)


def show(airflow: Standalone, emulator: Emulator) -> bool:
    """Run the DAGs, print the outputs in XCom, and return whether they are right."""
    dag_runs = {dag: airflow.start_dag(dag) for dag in DAGS}
    states = follow(airflow, emulator, dag_runs)
    if set(states.values()) != {"success"}:
        print(f"A DAG failed: {states}. See {airflow.log_file.relative_to(ROOT)}")
        return False
    starts, reads = emulator.count("POST", "/v1/runs"), emulator.count("GET", "/v1/runs.*")
    print(f"\nRequests: {starts} started the runs, {reads} waited for them and read their outputs.")
    print("\nOutputs in XCom, for the next tasks:")
    found = {}
    for dag, dag_run in dag_runs.items():
        for ti in airflow.task_instances(dag, dag_run):
            if ti["task_id"] == "review":
                run_id = airflow.xcom(dag, dag_run, "review", "run_id", ti["map_index"])
                found[run_id] = airflow.xcom(dag, dag_run, "review", map_index=ti["map_index"])
    for run_id, output in found.items():
        for artifact in output["artifacts"]:
            facts = f"{artifact['type']}, confidence {artifact.get('confidence')}, run {run_id[:8]}"
            print(f"\n{artifact['title']} ({facts})\n  {artifact.get('summary')}")
    if found != {run.id: run.output for run in emulator.service.runs.values()}:
        print("XCom and the service disagree.")
        return False
    return True


def main() -> int:
    """Run the demo, and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep Airflow running until Ctrl-C")
    keep = parser.parse_args().keep
    shutil.rmtree(HOME, ignore_errors=True)
    say("demo", "Starting an offline agent service and a complete Airflow; this takes about half a minute.")
    with Emulator(seed=int(time.time())) as emulator:
        connection = {"AIRFLOW_CONN_AGENTRUNS_DEFAULT": emulator.connection_uri}
        with Standalone(HOME, ROOT / "example_dags", connection) as airflow:
            say("demo", f"Airflow is ready at {airflow.url}, the service at {emulator.url}. Both are on loopback only.")
            good = show(airflow, emulator)
            if keep:
                # SIGTERM also stops the demo, because a shell starts background jobs with SIGINT ignored.
                signal.signal(signal.SIGTERM, signal.default_int_handler)
                print(f"\nAirflow stays open at {airflow.url} until Ctrl-C.", flush=True)
                with suppress(KeyboardInterrupt):
                    while True:
                        time.sleep(1)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
