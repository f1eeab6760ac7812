# SPDX-License-Identifier: Apache-2.0
"""
Imports are cheap, because Airflow imports operators and sensors whenever it parses a DAG file.

The tests check which modules are imported, and not the time, which varies.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import airflow_provider_agentruns
from tests.support.airflow_versions import IMPORTED_BY_AIRFLOW

PACKAGE = airflow_provider_agentruns.__name__
ROOT = Path(airflow_provider_agentruns.__path__[0]).parent

#: What every DAG file imports; then a DAG file that uses this package; then what the triggerer imports.
STEPS = (
    """
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, task
with DAG("d", schedule=None) as dag:
    BaseSensorOperator(task_id="other")
""",
    f"""
import {PACKAGE}.operators.agent_run
from {PACKAGE}.sensors.agent_run import AgentRunSensor
with dag:
    AgentRunSensor(task_id="wait", run_id="r-1", deferrable=True)
""",
    f"import {PACKAGE}.triggers.agent_run",
)


@cache
def modules(*steps: str) -> list[frozenset[str]]:
    """Return the modules that each of some steps adds, one after the other in a fresh Python."""
    code = f"""
import json, sys
known, added = set(), []
for step in {steps!r}:
    exec(step)
    added.append(sorted(set(sys.modules) - known))
    known = set(sys.modules)
print(json.dumps(added))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True, timeout=120
    )
    return [frozenset(names) for names in json.loads(done.stdout.splitlines()[-1])]


def below(packages: tuple[str, ...], names: frozenset[str]) -> set[str]:
    """Return those that are one of some packages, or are inside one."""
    return {name for name in names if any(name == package or name.startswith(f"{package}.") for package in packages)}


def ours(*names: str) -> tuple[str, ...]:
    return tuple(f"{PACKAGE}.{name}" for name in names)


def test_a_dag_file_imports_neither_the_client_nor_triggers() -> None:
    heavy = ("httpx_sse", "starlette", "uvicorn", "airflow.triggers")
    heavy += ours("client", "models", "hooks", "triggers", "idempotency", "emulator")
    before, added, _ = modules(*STEPS)
    assert set(ours("operators.agent_run", "sensors.agent_run")) <= added
    # Modules that Airflow itself has imported cannot be added. It imports no more than these.
    assert below(heavy, before) == below(IMPORTED_BY_AIRFLOW, before)
    assert below((PACKAGE,), before) <= {PACKAGE, *ours("get_provider_info")}
    assert below(heavy, added) == set()
    # Nor any package besides.
    assert {name.partition(".")[0] for name in added} - sys.stdlib_module_names == {PACKAGE, "airflow"}


def test_the_triggerer_gets_no_client_before_a_trigger_runs() -> None:
    before, _, added = modules(*STEPS)
    assert f"{PACKAGE}.triggers.agent_run" in added
    assert "airflow.triggers.base" in added | below(IMPORTED_BY_AIRFLOW, before)
    assert below((*ours("client", "hooks", "models"), "httpx_sse"), added) == set()


def test_the_package_alone_imports_nothing() -> None:
    _, added = modules("", f"import {PACKAGE}")
    assert added == {PACKAGE}


def test_the_pytest_plugin_imports_nothing() -> None:
    before, added = modules("import pytest", f"import {PACKAGE}.emulator.pytest_plugin")
    assert added == {PACKAGE, *ours("emulator", "emulator.pytest_plugin")}
    assert below(("starlette", "uvicorn", "airflow", "httpx"), before) == set()


def test_the_client_and_idempotency_do_not_need_airflow() -> None:
    names = ours("client.transport", "run_outcome", "outputs", "idempotency.create_run", "idempotency.resume_run")
    _, added = modules("", f"import {', '.join(names)}")
    assert set(names) <= added
    assert below(("airflow",), added) == set()


@pytest.mark.parametrize("module", ["server", "app"])
def test_the_emulator_needs_neither_airflow_nor_the_client(module: str) -> None:
    _, added = modules("", f"import {PACKAGE}.emulator.{module}")
    assert "starlette" in added
    assert below((PACKAGE,), added) - below(ours("emulator"), added) == {PACKAGE}
    assert below(("airflow", "httpx"), added) == set()
