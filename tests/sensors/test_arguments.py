# SPDX-License-Identifier: Apache-2.0
"""What a sensor is made with: what is refused when the DAG is made, and where values may come from."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import DAG

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor
from tests.sensors.test_outcomes import BUSINESS, START
from tests.support.dag_runs import DagRunner

#: No test here gets as far as to look it up.
RUN = "00000000-0000-4000-8000-000000000000"


def sensor(**arguments: Any) -> AgentRunSensor:
    """Return a sensor with these arguments."""
    return AgentRunSensor(**{"task_id": "wait", "run_id": RUN, **arguments})


@pytest.mark.parametrize("run_id", ["", "  ", None])
def test_a_run_id_that_is_none_is_refused(run_id: str | None) -> None:
    with pytest.raises(
        AgentRunsValueError, match=f"run_id is {run_id!r}: pass a run's ID, a template, or another task"
    ):
        sensor(run_id=run_id)


def test_a_run_id_has_to_be_given() -> None:
    with pytest.raises(TypeError, match="run_id"):
        AgentRunSensor(task_id="wait")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("wait_for", "message"),
    [
        (["completed", "done"], "wait_for takes completed, interrupted, error; not 'done'"),
        ("running", "wait_for takes completed, interrupted, error; not 'running'"),
        ([], "wait_for is empty; it takes completed, interrupted, error"),
    ],
)
def test_a_status_that_cannot_be_waited_for_is_refused(wait_for: Any, message: str) -> None:
    with pytest.raises(AgentRunsValueError, match=message):
        sensor(wait_for=wait_for)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"poke_interval": -1}, "`poke_interval` must be timedelta object or a non-negative number"),
        ({"timeout": -1}, "`timeout` must be timedelta object or a non-negative number"),
        ({"mode": "sometimes"}, "The mode must be one of"),
        ({"soft_fail": True, "never_fail": True}, "soft_fail and never_fail are mutually exclusive"),
    ],
)
def test_airflows_own_checks_are_made(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, AirflowException), match=message):
        sensor(**arguments)


def test_the_interval_fits_the_mode_unless_it_is_given() -> None:
    assert sensor().poke_interval == sensor(mode="poke").poke_interval == sensor(deferrable=True).poke_interval == 5
    assert sensor(mode="reschedule").poke_interval == 60
    assert sensor(poke_interval=timedelta(seconds=7)).poke_interval == 7
    assert sensor(mode="reschedule", poke_interval=0).poke_interval == 0


def test_default_args_are_honoured() -> None:
    default_args = {"agentruns_conn_id": "elsewhere", "deferrable": True, "poke_interval": 11, "wait_for": "completed"}
    with DAG("defaults", schedule=None, default_args=default_args):
        plain, own = sensor(), sensor(task_id="own", agentruns_conn_id="mine", deferrable=False, poke_interval=1)
    assert (plain.agentruns_conn_id, plain.deferrable, plain.poke_interval) == ("elsewhere", True, 11)
    assert plain.wait_for == own.wait_for == ("completed",)
    assert (own.agentruns_conn_id, own.deferrable, own.poke_interval) == ("mine", False, 1)


@pytest.mark.parametrize("configured", [True, False])
def test_airflows_configuration_says_whether_to_defer(monkeypatch: pytest.MonkeyPatch, configured: bool) -> None:
    assert sensor().deferrable is False
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", str(configured))
    assert sensor().deferrable is configured
    assert sensor(deferrable=not configured).deferrable is not configured


def test_what_a_template_or_a_task_gives_is_waited_for(agent_runs_emulator: Emulator, run_dag: DagRunner) -> None:
    run = agent_runs_emulator.service.create_run("instant", business_id=BUSINESS)
    result = run_dag(
        f"""{START}
        AgentRunSensor(task_id="output", run_id=start("instant"))
        AgentRunSensor(task_id="template", run_id="{{{{ dag_run.conf['run_id'] }}}}")
        AgentRunSensor.partial(task_id="mapped").expand(run_id=["{run.id}", "{run.id}"])
        @task
        def nothing():
            pass
        AgentRunSensor(task_id="lost", run_id=nothing(), retries=2, retry_delay=timedelta(0))
        """,
        run_id=run.id,
    )
    assert result.xcom("output")["run_id"] == result.xcom("start")
    waits = ("template", "mapped[0]", "mapped[1]")
    assert [result.xcom(task)["run_id"] for task in waits] == [run.id] * 3
    assert (result.states["lost"], result.tries["lost"]) == ("failed", 1)
    assert "run_id is None. If it comes from another task's XCom, check that the task ran" in result.log


def test_the_link_leads_to_the_runs_page_where_the_connection_has_one(
    agent_runs_emulator: Emulator, run_dag: DagRunner, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    uri = f"{agent_runs_emulator.connection_uri}&run_url=https%3A%2F%2Fapp.example.com%2Fruns%2F%7Brun_id%7D"
    monkeypatch.setenv("AIRFLOW_CONN_WITH_PAGE", uri)
    create = agent_runs_emulator.service.create_run
    done, failed = (create(agent, business_id=BUSINESS).id for agent in ("instant", "fails"))
    result = run_dag(f"""{START}
        AgentRunSensor(task_id="without", run_id="{done}", {mode})
        AgentRunSensor(task_id="waits", run_id=start("slow"), agentruns_conn_id="{{{{ 'with_' + 'page' }}}}", {mode})
        AgentRunSensor(task_id="fails", run_id="{failed}", agentruns_conn_id="with_page", {mode})
    """)
    assert result.states == {"start": "success", "without": "success", "waits": "success", "fails": "failed"}
    pages = {task: result.xcom(task, "_link_AgentRunLink") for task in ("without", "waits", "fails")}
    assert pages == {
        "without": "",
        "waits": f"https://app.example.com/runs/{result.xcom('start')}",
        "fails": f"https://app.example.com/runs/{failed}",
    }


def test_a_missing_connection_fails_the_task_with_what_to_do(run_dag: DagRunner, airflow_home: Path) -> None:
    result = run_dag(f"""
        AgentRunSensor(task_id="wait", run_id="{RUN}", agentruns_conn_id="nowhere")
    """)
    assert result.states == {"wait": "failed"}
    assert "AgentRunsConfigError: Airflow has no connection 'nowhere'. Add one of type Agent runs" in result.log
