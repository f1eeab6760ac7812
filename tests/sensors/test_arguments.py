# SPDX-License-Identifier: Apache-2.0
"""The sensor's arguments: defaults, and what is rejected when a DAG file is parsed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import DAG

from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor

#: No test here reads it.
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
