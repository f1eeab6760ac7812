# SPDX-License-Identifier: Apache-2.0
"""A complete Airflow (scheduler, triggerer, DAG processor, API server) on this machine, and its REST API."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import psutil

from tests.support.airflow_home import airflow_environment
from tests.support.scripted_server import unused_port

T = TypeVar("T")

#: Limits in seconds, for a loaded machine.
_READY_WITHIN = 600.0
_PATIENCE = 240.0
_API_PATIENCE = 90.0

#: The components and their commands. Airflow's log servers listen on all interfaces, without a setting. Here, all
#: components share one log folder.
COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}


class Standalone:
    """
    All components of an Airflow, as a context manager. Every visitor is an admin, so it listens on loopback only.

    :param home: Airflow's home. The file ``airflow.log`` in it receives the output of all components.
    :param dags: The folder of DAG files. Airflow reads each file once.
    :param environment: More environment variables, such as connections.
    :param database: The URL of a database; SQLite by default.
    :param components: The commands of the components by name.
    :param variables: More environment variables of single components, by the same name.
    :raises RuntimeError: On entry, if a component listens on an address that is not loopback.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        environment: Mapping[str, str] | None = None,
        *,
        database: str | None = None,
        components: Mapping[str, Sequence[str]] = COMPONENTS,
        variables: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.home = home
        self.log_file = home / "airflow.log"
        self.port = unused_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._components = components
        self._variables = variables or {}
        self._environment = {
            **os.environ,
            **airflow_environment(home, dags),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3600",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            # The default of 5 seconds is too short for a loaded machine.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            # A worker notices the end of its task at its next heartbeat; the default is 5 seconds.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            **({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database} if database else {}),
            **(environment or {}),
        }
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._http = httpx.Client(base_url=self.url, timeout=60.0, trust_env=False)

    def __enter__(self) -> Standalone:
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            if self._run(["db", "migrate"]).wait():
                raise RuntimeError(f"airflow db migrate failed:\n{self._log_tail()}")
            for component in self._components:
                self.launch(component)
            self.wait_for(self._healthy, "be ready", _READY_WITHIN)
            token = self._http.get("/auth/token").raise_for_status().json()["access_token"]
            self._http.headers["Authorization"] = f"Bearer {token}"
            if exposed := [address for process in self.processes() for address in _exposed(process)]:
                raise RuntimeError(f"Airflow listens on other addresses than loopback: {exposed}")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    # The processes

    def stop(self) -> None:
        _end([popen for _, popen in self._processes], patience=15)
        self._processes.clear()
        self._http.close()

    def kill(self, component: str) -> None:
        """Kill a component and its child processes with SIGKILL, as a machine failure would."""
        found = next(entry for entry in self._processes if entry[0] == component)
        self._processes.remove(found)
        _end([found[1]], patience=0)

    def start(self, component: str) -> None:
        """Start a component, or another one of its kind, and wait until it is healthy."""
        started = psutil.Process(self.launch(component).pid).create_time()
        params = {"is_alive": True, "job_type": f"{self._components[component][0].title()}Job"}

        def is_healthy() -> bool:
            jobs = self.call("GET", "/jobs", params=params)["jobs"]
            starts = (datetime.fromisoformat(job["start_date"]).timestamp() for job in jobs if job["start_date"])
            return any(start >= started - 1 for start in starts)

        self.wait_for(is_healthy, f"start another {component}")

    def launch(self, component: str) -> subprocess.Popen[bytes]:
        process = self._run(self._components[component], self._variables.get(component))
        self._processes.append((component, process))
        return process

    def component_of(self, process: psutil.Process) -> str:
        pids = {process.pid, *(parent.pid for parent in process.parents())}
        return next(component for component, popen in self._processes if popen.pid in pids)

    def processes(self) -> list[psutil.Process]:
        """Return all processes of this Airflow, children before their parents."""
        return [member for _, popen in self._processes for member in _family(popen.pid)]

    # The REST API

    def call(
        self, method: str, path: str, *, base: str = "/api/v2", repeated: int | None = None, **arguments: Any
    ) -> Any:
        """
        Call Airflow's REST API with the rights of an admin, and return the response's JSON.

        A loaded Airflow on SQLite sometimes responds with a 5xx ("database is locked"). The call is then repeated. Make
        it idempotent.

        :param repeated: The status of a repeated call whose first attempt took effect in spite of its 5xx.
        :raises httpx.HTTPStatusError: For any other status.
        """
        end = time.monotonic() + _API_PATIENCE
        failed = False
        while True:
            try:
                response = self._http.request(method, base + path, **arguments)
            except httpx.TransportError:
                if time.monotonic() > end:
                    raise
            else:
                if failed and response.status_code == repeated:
                    return None
                if response.status_code < 500 or time.monotonic() > end:
                    response.raise_for_status()
                    return response.json() if response.content else None
            failed = True
            time.sleep(1)

    def start_dag(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a DAG run, once the DAG has been parsed, and return its ID."""
        self.unpause(dag_id)
        run_id = f"test-{uuid4()}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        self.call("POST", f"/dags/{dag_id}/dagRuns", repeated=409, json=body)
        return run_id

    def unpause(self, dag_id: str) -> None:
        """
        Wait until a DAG has been parsed, and unpause it.

        :raises ImportError: If a DAG file could not be imported.
        """

        def is_parsed() -> bool:
            for error in self.call("GET", "/importErrors")["import_errors"]:
                raise ImportError(error["stack_trace"])
            return any(dag["dag_id"] == dag_id for dag in self.call("GET", "/dags")["dags"])

        self.wait_for(is_parsed, f"parse the DAG {dag_id}")
        self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def dag_run_state(self, dag_id: str, run_id: str) -> str:
        return str(self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def wait_for_dag(self, dag_id: str, run_id: str, expected: str = "success", *, seconds: float = _PATIENCE) -> None:
        """
        Wait for the end of a DAG run.

        :raises AssertionError: If it ends in another state than expected, with the logs of its failed tasks.
        """
        state = self.wait_for(
            lambda: (now := self.dag_run_state(dag_id, run_id)) in ("success", "failed") and now,
            f"finish {dag_id} {run_id}",
            seconds,
        )
        if state != expected:
            logs = [
                self.task_log(dag_id, run_id, ti["task_id"], ti["try_number"], ti["map_index"])
                for ti in self.task_instances(dag_id, run_id)
                if ti["state"] == "failed"
            ]
            raise AssertionError(f"{dag_id} {run_id} ended as {state}, not {expected}\n" + "\n\n".join(logs))

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", path, params={"limit": 100, "offset": len(found), "order_by": "id"})
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def count(self, dag_id: str, run_id: str, task_id: str, state: str) -> int:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/listMapped"
        return int(self.call("GET", path, params={"state": state, "limit": 1})["total_entries"])

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return one task instance; its state is None while Airflow has not created it."""
        found = [
            ti
            for ti in self.task_instances(dag_id, run_id)
            if ti["task_id"] == task_id and ti["map_index"] == map_index
        ]
        return found[0] if found else {"state": None, "try_number": 0, "trigger": None, "pid": None}

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        entry = self.call(
            "GET",
            f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}",
            params={"map_index": map_index, "deserialize": True},
        )
        return entry["value"]

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Return the log of one try of a task: a line for each event, with its fields and errors."""
        response = self.call(
            "GET",
            f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}",
            params={"map_index": map_index, "full_content": True},
            headers={"Accept": "application/json"},
        )
        return "\n".join(map(_log_line, response["content"]))

    def wait_for(self, condition: Callable[[], T], what: str, seconds: float = _PATIENCE) -> T:
        """
        Return the first true value of a condition.

        :param what: What Airflow should do, for the error message.
        :raises TimeoutError: If there is none in time, or a component has ended; with the end of Airflow's log.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := condition():
                return found
            if ended := [component for component, popen in self._processes if popen.poll() is not None]:
                raise TimeoutError(f"Airflow did not {what}: {ended[0]} has ended.\n{self._log_tail()}")
            time.sleep(0.3)
        raise TimeoutError(f"Airflow did not {what} within {seconds:g} s.\n{self._log_tail()}")

    def _run(self, command: Sequence[str], variables: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "airflow", *command],
                env={**self._environment, **(variables or {})},
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _healthy(self) -> bool:
        try:
            health = self._http.get("/api/v2/monitor/health").raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            return False
        return all(health[part]["status"] == "healthy" for part in ("scheduler", "triggerer", "dag_processor"))

    def _log_tail(self) -> str:
        return f"Its log ends with:\n{self.log_file.read_text(errors='replace')[-4000:]}"


def _exposed(process: psutil.Process) -> list[str]:
    """Return the addresses other than loopback on which a process listens."""
    try:
        sockets = process.net_connections("tcp")
    except psutil.NoSuchProcess:
        return []
    addresses = {address.laddr.ip for address in sockets if address.status == psutil.CONN_LISTEN}
    return [address for address in addresses if not ip_address(address).is_loopback]


def _end(components: list[subprocess.Popen[bytes]], *, patience: float) -> None:
    """End components and their child processes: after some seconds, with SIGKILL."""
    family = [member for component in components for member in _family(component.pid)]
    for process in family if patience else ():
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(family, timeout=patience)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    for component in components:
        component.wait()


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [*reversed(parent.children(recursive=True)), parent]
    except psutil.NoSuchProcess:
        return []


def _log_line(line: Any) -> str:
    if not isinstance(line, dict):
        return str(line)
    errors = (f"{error['exc_type']}: {error['exc_value']}" for error in line.get("error_detail") or ())
    more = (f"{key}={value}" for key, value in line.items() if key not in ("event", "error_detail", "timestamp"))
    return " ".join([str(line.get("event")), *more, *errors])
