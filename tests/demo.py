# SPDX-License-Identifier: Apache-2.0
"""
``make demo``: agent runs in a complete Airflow, against the offline service.

One run asks a question, a person answers it through Airflow's API, and the run continues. Three other runs ask nothing.
Prints each step, and fails if a result differs from what the service stored.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_provider_agentruns.emulator.server import Emulator
from tests.standalone.people import Review
from tests.support.airflow_versions import FORM_STATE
from tests.support.standalone import Standalone

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".demo"

ASKS = "example_agent_run_review"
ASKS_NOTHING = "example_agent_run_mapped"
REASON = "The lease of 3 May names this address."

_MEANINGS = {
    "running": "on a worker",
    "deferred": "waits in the triggerer, without a worker",
    "success": "done",
    "failed": "see its log",
    "awaiting_input": "waits for a person, without a process",
}

_TO_CLICK = """
Airflow is open at {url} until you press Ctrl-C. What to click, in this order:

 1. See the answered question:
    {url}/dags/{dag}/runs/{dag_run}/tasks/review
    The tab "Agent run" shows the agent's steps, the question, and the answer.
 2. See the audit trail: on the same page, click "Storage", "XCom", "Expand all extra JSON".
    The trail is the value with the key "trail".
 3. Start another run: {url}/dags/{dag}
    Click "Trigger", then "Trigger" in the form. Airflow opens the page of the DAG run. After about
    20 seconds, the task "review" has the state "Awaiting Input".
 4. Answer its question: click "Browse", "Required Actions", and the question. Click "Approve" or
    "Reject". Until you answer, "Browse", "Agent runs" lists the run.
 5. See the output: on the page of the DAG run, click the task "output", "Storage", "XCom".
"""


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


def say(source: str, text: str) -> None:
    """Print one line with the time and its source."""
    print(f"  {datetime.now(UTC):%H:%M:%S}  {source:<8} {text}", flush=True)


class Demo:
    """
    The DAG runs of the demo, which start at once.

    :ivar dag_runs: DAG ID to DAG run ID.
    :ivar review: The review that a person answers.
    """

    def __init__(self, airflow: Standalone, emulator: Emulator) -> None:
        self._airflow = airflow
        self._emulator = emulator
        self._printed: set[tuple[str, str]] = set()
        self.dag_runs = {dag: airflow.start_dag(dag) for dag in (ASKS, ASKS_NOTHING)}
        self.review = Review(airflow, ASKS, self.dag_runs[ASKS])

    def states(self) -> dict[str, str]:
        return {dag: self._airflow.dag_run_state(dag, dag_run) for dag, dag_run in self.dag_runs.items()}

    def follow(self, until: Callable[[], bool]) -> None:
        """Print each change of a task or an agent run, until a condition is true or all DAG runs have ended."""
        over = False
        while not over:
            # Checked first, so that the last changes are printed.
            over = until() or set(self.states().values()) <= {"success", "failed"}
            for change in self._changes():
                if change not in self._printed:
                    self._printed.add(change)
                    say(*change)
            time.sleep(0.2)

    def _changes(self) -> Iterator[tuple[str, str]]:
        for dag, dag_run in self.dag_runs.items():
            for ti in self._airflow.task_instances(dag, dag_run):
                if (state := ti["state"]) in _MEANINGS:
                    yield "Airflow", f"{_name(dag, ti):<20} {state} ({_MEANINGS[state]})"
        for run in list(self._emulator.service.runs.values()):
            yield "service", f"run {run.id[:8]:<16} {run.status} (agent {run.agent})"

    def outputs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return the output of each agent run in XCom: the task's name, and run ID and output."""
        found = {}
        for dag, starts, returns in ((ASKS, "start", "output"), (ASKS_NOTHING, "review", "review")):
            dag_run = self.dag_runs[dag]
            for ti in self._airflow.task_instances(dag, dag_run):
                if ti["task_id"] == returns:
                    run_id = self._airflow.xcom(dag, dag_run, starts, "run_id", ti["map_index"])
                    output = self._airflow.xcom(dag, dag_run, returns, map_index=ti["map_index"])
                    found[_name(dag, ti)] = (run_id, output)
        return found


def _name(dag: str, ti: dict[str, Any]) -> str:
    index = f"[{ti['map_index']}]" if ti["map_index"] >= 0 else ""
    return f"{dag.removeprefix('example_agent_run_')}.{ti['task_id']}{index}"


def answer(review: Review) -> None:
    """Print the form, and answer it as a person would."""
    heading("3. The agent's question, as the form in Airflow shows it")
    form = review.shown()
    for line in (form["subject"], "", *form["body"].splitlines(), "", f"[{'] ['.join(form['options'])}]"):
        print(f"  | {line}".rstrip())
    heading("4. A person answers through Airflow's API")
    review.answer("Approve", reason=REASON)
    say("person", f"Approve, because: {REASON}")


def check(demo: Demo, emulator: Emulator) -> str:
    outputs = demo.outputs()
    heading(f"6. {len(outputs)} outputs in XCom, for the next tasks")
    summaries = []
    for name, (_, output) in outputs.items():
        for artifact in output["artifacts"]:
            summaries.append(f"{artifact['title']}: {artifact['summary']}")
            print(f"  {name:<20} {summaries[-1]}")
    heading("7. The audit trail of the answer (the XCom value `trail` of review.review)")
    trail = demo.review.xcom("trail")
    for key in ("run_id", "label", "by", "responded_by", "responded_at", "chosen_options", "params_input", "delivery"):
        print(f"  {key:<15} {trail[key] if isinstance(trail[key], str) else json.dumps(trail[key])}")
    if dict(outputs.values()) != {run.id: run.output for run in emulator.service.runs.values()}:
        return "An output in XCom differs from the service's."
    if len(set(summaries)) != len(summaries) or len(outputs) != 4:
        return "The outputs are not four different ones."
    received = [(one.run_id, one.input["decision"]) for one in emulator.service.answers]
    if received != [(trail["run_id"], "approve")] or trail["delivery"] != "confirmed":
        return f"The service received {received}."
    starts, reads = emulator.count("POST", "/v1/runs"), emulator.count("GET", "/v1/runs.*")
    print(f"\n{starts} requests started the runs, 1 answered the question, and {reads} read the runs.")
    return ""


def show(airflow: Standalone, emulator: Emulator) -> str:
    heading("2. Four agent runs start: one asks a question, three ask nothing")
    demo = Demo(airflow, emulator)
    demo.follow(lambda: demo.review.ti["state"] == FORM_STATE)
    if demo.review.ti["state"] == FORM_STATE:
        answer(demo.review)
    heading("5. The run continues, and Airflow ends the tasks")
    demo.follow(lambda: False)
    if set(demo.states().values()) != {"success"}:
        return f"A DAG failed: {demo.states()}. See {airflow.log_file.relative_to(ROOT)}."
    return check(demo, emulator)


def stay_open(airflow: Standalone) -> None:
    """Print what to click, and wait for Ctrl-C."""
    # SIGTERM also stops the demo, because a shell starts background jobs with SIGINT ignored.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    [latest] = airflow.call("GET", f"/dags/{ASKS}/dagRuns")["dag_runs"]
    print(_TO_CLICK.format(url=airflow.url, dag=ASKS, dag_run=latest["dag_run_id"]), flush=True)
    with suppress(KeyboardInterrupt):
        signal.pause()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep Airflow running until Ctrl-C")
    keep = parser.parse_args().keep
    shutil.rmtree(HOME, ignore_errors=True)
    heading("1. An offline agent service and a complete Airflow start (about a minute; longer on a busy machine)")
    with Emulator(seed=int(time.time())) as emulator:
        connection = {"AIRFLOW_CONN_AGENTRUNS_DEFAULT": emulator.connection_uri}
        with Standalone(HOME, ROOT / "example_dags", connection) as airflow:
            say("Airflow", f"{airflow.url} (this machine only)")
            say("service", f"{emulator.url} (this machine only)")
            wrong = show(airflow, emulator)
            if wrong:
                print(f"\n{wrong}")
            if keep:
                stay_open(airflow)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
