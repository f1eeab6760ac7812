# SPDX-License-Identifier: Apache-2.0
"""A whole Airflow (scheduler, triggerer, DAG processor, API server) on this machine, and its REST API."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
import psutil

from tests.support.airflow_home import airflow_environment

T = TypeVar("T")

_READY_IN = 300.0


class Standalone:
    """
    ``airflow standalone`` as a context manager.

    :param home: Airflow's home; its ``standalone.log`` has what all components say.
    :param dags: The folder of DAG files.
    :param environment: More environment variables, such as connections.
    """

    def __init__(self, home: Path, dags: Path, environment: dict[str, str] | None = None) -> None:
        self.home = home
        self.log_file = home / "standalone.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            **os.environ,
            **airflow_environment(home, dags),
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__API__WORKERS": "1",
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._more: list[subprocess.Popen[bytes]] = []
        self._http = httpx.Client(base_url=self.url, timeout=30.0, trust_env=False)

    def __enter__(self) -> Standalone:
        self.home.mkdir(parents=True, exist_ok=True)
        self._process = self._start("standalone")
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all processes of this Airflow."""
        if self._process is None:
            return
        family = [member for process in (self._process, *self._more) for member in _family(process.pid)]
        for process in family:
            _signal(process.terminate)
        _, alive = psutil.wait_procs(family, timeout=10)
        for process in alive:
            _signal(process.kill)
        self._process.wait()
        self._process = None
        self._http.close()

    def kill(self, component: str) -> None:
        """Kill a component with all its processes, as a machine that goes down does."""
        killed = next(process for process in self.processes() if f"airflow {component}" in _command(process))
        family = _family(killed.pid)
        for process in family:
            _signal(process.kill)
        psutil.wait_procs(family, timeout=10)

    def processes(self) -> list[psutil.Process]:
        """Return all processes of this Airflow, the lowest first."""
        assert self._process is not None
        parents = [self._process.pid, *(process.pid for process in self._more)]
        return [member for pid in parents for member in _family(pid)]

    def start(self, component: str, *, beside: bool = False) -> None:
        """
        Start a component, and wait until it works.

        :param beside: Whether it is one more beside one that runs, and not in place of one that was killed.
        """
        kinds = ("WORKER", "TRIGGER") if beside else ()
        ports = {f"AIRFLOW__LOGGING__{kind}_LOG_SERVER_PORT": str(free_port()) for kind in kinds}
        self._more.append(self._start(component, ports))
        self.wait_for(lambda: self._newest_is_healthy(component), f"a healthy {component} more", 90)

    def kill_and_restart(self, component: str) -> None:
        """Kill a component with all its processes, and start it anew."""
        self.kill(component)
        self.start(component)

    # The REST API

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Call Airflow's REST API below ``/api/v2``, and return the answer's JSON."""
        answer = self._http.request(method, f"/api/v2{path}", **arguments)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def start_dag(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a DAG run, once the DAG has been parsed, and return its id."""
        self.wait_for(lambda: self._knows(dag_id), f"the DAG {dag_id}", 120)
        self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
        run = self.call("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf or {}})
        return str(run["dag_run_id"])

    def dag_run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a DAG run."""
        return str(self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def wait_for_dag(self, dag_id: str, run_id: str, expected: str = "success", *, seconds: float = 180) -> None:
        """
        Wait for the end of a DAG run.

        :raises AssertionError: With the logs of its failed tasks, if it does not end as expected.
        """
        self.wait_for(
            lambda: self.dag_run_state(dag_id, run_id) in ("success", "failed"),
            f"the end of {dag_id} {run_id}",
            seconds,
        )
        if self.dag_run_state(dag_id, run_id) != expected:
            logs = [
                self.task_log(dag_id, run_id, ti["task_id"], ti["try_number"], ti["map_index"])
                for ti in self.task_instances(dag_id, run_id)
                if ti["state"] == "failed"
            ]
            raise AssertionError(f"{dag_id} {run_id} did not end as {expected}\n" + "\n\n".join(logs))

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of a DAG run."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", path, params={"limit": 100, "offset": len(found), "order_by": "id"})
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def count(self, dag_id: str, run_id: str, task_id: str, state: str) -> int:
        """Count the instances of a mapped task that are in a state."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/listMapped"
        return int(self.call("GET", path, params={"state": state, "limit": 1})["total_entries"])

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return one task instance."""
        return next(
            ti
            for ti in self.task_instances(dag_id, run_id)
            if ti["task_id"] == task_id and ti["map_index"] == map_index
        )

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return one XCom value."""
        entry = self.call(
            "GET",
            f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}",
            params={"map_index": map_index, "deserialize": True},
        )
        return entry["value"]

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Return the log of one try of a task: a line for each event, with its fields and its errors."""
        answer = self.call(
            "GET",
            f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}",
            params={"map_index": map_index, "full_content": True},
            headers={"Accept": "application/json"},
        )
        return "\n".join(map(_log_line, answer["content"]))

    def wait_for(self, condition: Callable[[], T], what: str, seconds: float = 60) -> T:
        """Return what the condition gives as soon as that is something."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := condition():
                return found
            if self._process is not None and self._process.poll() is not None:
                break
            time.sleep(0.3)
        tail = self.log_file.read_text(errors="replace")[-4000:]
        raise TimeoutError(f"Airflow did not come to {what} within {seconds:g} s. Its log ends with:\n{tail}")

    def _knows(self, dag_id: str) -> bool:
        errors = self.call("GET", "/importErrors")["import_errors"]
        if errors:
            raise ImportError(errors[0]["stack_trace"])
        return self._http.get(f"/api/v2/dags/{dag_id}").status_code == 200

    def _start(self, component: str, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "airflow", component],
                env={**self._environment, **(environment or {})},
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _newest_is_healthy(self, component: str) -> bool:
        jobs = self.call("GET", "/jobs", params={"is_alive": True, "job_type": f"{component.title()}Job"})["jobs"]
        started = psutil.Process(self._more[-1].pid).create_time()
        return any(job["start_date"] and _timestamp(job["start_date"]) >= started - 1 for job in jobs)

    def _wait_until_ready(self) -> None:
        self.wait_for(self._healthy, "be ready", _READY_IN)
        token = self._http.get("/auth/token").json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def _healthy(self) -> bool:
        try:
            health = self._http.get("/api/v2/monitor/health").raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            return False
        return all(health[part]["status"] == "healthy" for part in ("scheduler", "triggerer", "dag_processor"))


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _family(pid: int) -> list[psutil.Process]:
    """Return a process and all below it, the lowest first."""
    try:
        parent = psutil.Process(pid)
        return [*reversed(parent.children(recursive=True)), parent]
    except psutil.NoSuchProcess:
        return []


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def _timestamp(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _log_line(line: Any) -> str:
    if not isinstance(line, dict):
        return str(line)
    errors = (f"{error['exc_type']}: {error['exc_value']}" for error in line.get("error_detail") or ())
    more = (f"{key}={value}" for key, value in line.items() if key not in ("event", "error_detail", "timestamp"))
    return " ".join([str(line.get("event")), *more, *errors])


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return
