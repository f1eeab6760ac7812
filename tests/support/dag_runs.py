# SPDX-License-Identifier: Apache-2.0
"""Runs DAG files with ``dag.test()``, as their authors would, and returns the results."""

from __future__ import annotations

import itertools
import sys
import textwrap
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from airflow.models.xcom import XComModel

_numbers = itertools.count(1)

_HEAD = """\
from __future__ import annotations
from datetime import datetime, timedelta
from airflow.sdk import DAG, task
from airflow_provider_agentruns.operators.agent_run import *
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor

with DAG({dag_id!r}, schedule=None, start_date=datetime(2026, 1, 1)) as dag:
"""


@dataclass(frozen=True)
class DagResult:
    """
    The result of a DAG run.

    :param states: Task id (``task[0]`` for a mapped one) to the name of its state.
    :param tries: The same to the number of the last try.
    :param xcoms: The same to key to value.
    :param log: Everything that Airflow and the tasks logged.
    """

    dag_id: str
    state: str
    states: dict[str, str] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    xcoms: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: str = ""

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        """Return one XCom value."""
        return self.xcoms[task_id][key]


class DagRunner:
    """
    Writes DAG files into Airflow's DAG folder, and runs them.

    :param folder: Airflow's DAG folder.
    :param capture: Pytest's ``capfd``, which captures the log.
    """

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capture = capture
        self._written: list[Path] = []

    def __call__(self, tasks: str, **conf: Any) -> DagResult:
        """
        Run a DAG that consists of some tasks.

        :param tasks: The body of ``with DAG(...):``. The package's operators and sensor are imported.
        :param conf: The DAG run's ``conf``.
        """
        dag_id = f"dag_{next(_numbers)}"
        return self.run_file(_HEAD.format(dag_id=dag_id) + textwrap.indent(textwrap.dedent(tasks), "    "), **conf)

    def run_file(self, source: str, **conf: Any) -> DagResult:
        """Run the one DAG of a whole DAG file."""
        path = self._folder / f"file_{next(_numbers)}.py"
        path.write_text(source)
        self._written.append(path)
        return self.run_path(path, **conf)

    def run_path(self, path: Path, **conf: Any) -> DagResult:
        """Run the one DAG of a file that lies in the DAG folder."""
        self._capture.readouterr()
        try:
            result = run_dag_file(path, self._folder, conf)
        finally:
            captured = self._capture.readouterr()
            # Pytest shows it if the test fails.
            sys.stdout.write(captured.out + captured.err)
        return replace(result, log=captured.out + captured.err)

    def clean_up(self) -> None:
        """Delete the files, so that the next test does not parse them."""
        for path in self._written:
            path.unlink(missing_ok=True)


def run_dag_file(path: Path, folder: Path, conf: dict[str, Any] | None = None) -> DagResult:
    """
    Run the one DAG of a file through ``dag.test()``.

    :raises AssertionError: If the file cannot be imported, with Airflow's message.
    """
    from tests.support.airflow_names import dag_bag

    bag = dag_bag(path, folder)
    assert not bag.import_errors, bag.import_errors
    [dag] = bag.dags.values()
    dag_run = dag.test(run_conf=conf or {})
    instances = dag_run.get_task_instances()
    names = {
        (ti.task_id, ti.map_index): ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
        for ti in instances
    }
    return DagResult(
        dag_id=dag.dag_id,
        state=str(dag_run.state),
        states={names[ti.task_id, ti.map_index]: str(ti.state) for ti in instances},
        tries={names[ti.task_id, ti.map_index]: ti.try_number for ti in instances},
        xcoms={name: _xcoms(dag.dag_id, dag_run.run_id, *key) for key, name in names.items()},
    )


def _xcoms(dag_id: str, run_id: str, task_id: str, map_index: int) -> dict[str, Any]:
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.scalars(
            XComModel.get_many(run_id=run_id, dag_ids=dag_id, task_ids=task_id, map_indexes=map_index)
        ).all()
        return {row.key: XComModel.deserialize_value(row) for row in rows}
