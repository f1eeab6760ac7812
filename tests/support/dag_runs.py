# SPDX-License-Identifier: Apache-2.0
"""Runs DAG files with ``dag.test()``, as their authors would, and returns the results."""

from __future__ import annotations

import itertools
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session

from tests.support.airflow_names import dag_bag

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
    run_id: str
    state: str
    states: dict[str, str]
    tries: dict[str, int]
    xcoms: dict[str, dict[str, Any]]
    log: str

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
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
        """
        Run the one DAG of a whole DAG file.

        :raises AssertionError: If the file cannot be imported, with Airflow's message.
        """
        path = self._folder / f"file_{next(_numbers)}.py"
        path.write_text(source)
        self._written.append(path)
        bag = dag_bag(path, self._folder)
        assert not bag.import_errors, bag.import_errors
        [dag] = bag.dags.values()
        self._capture.readouterr()
        try:
            dag_run = dag.test(run_conf=conf)
        finally:
            captured = self._capture.readouterr()
            # Pytest shows it if the test fails.
            sys.stdout.write(captured.out + captured.err)
        instances = {
            ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]": ti
            for ti in dag_run.get_task_instances()
        }
        return DagResult(
            dag_id=dag.dag_id,
            run_id=dag_run.run_id,
            state=str(dag_run.state),
            states={name: str(ti.state) for name, ti in instances.items()},
            tries={name: ti.try_number for name, ti in instances.items()},
            xcoms={name: _xcoms(ti) for name, ti in instances.items()},
            log=captured.out + captured.err,
        )

    @property
    def path(self) -> Path:
        return self._written[-1]

    def clean_up(self) -> None:
        """Delete the files, so that the next test does not parse them."""
        for path in self._written:
            path.unlink(missing_ok=True)


def _xcoms(ti: Any) -> dict[str, Any]:
    with create_session() as session:
        rows = session.scalars(
            XComModel.get_many(run_id=ti.run_id, dag_ids=ti.dag_id, task_ids=ti.task_id, map_indexes=ti.map_index)
        ).all()
        return {row.key: XComModel.deserialize_value(row) for row in rows}
