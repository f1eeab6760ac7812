# SPDX-License-Identifier: Apache-2.0
"""The sensor's arguments: defaults, and what is rejected when a DAG file is parsed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor

#: No test here reads it.
RUN = "00000000-0000-4000-8000-000000000000"


def sensor(**arguments: Any) -> AgentRunSensor:
    return AgentRunSensor(**{"task_id": "wait", "run_id": RUN, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"run_id": "  "}, "run_id is '  ': pass a run's ID, a template, or another task"),
        ({"run_id": None}, "run_id is None: pass a run's ID"),
        ({"wait_for": ["completed", "done"]}, "wait_for takes completed, interrupted, error; not 'done'"),
        ({"wait_for": "running"}, "wait_for takes completed, interrupted, error; not 'running'"),
        ({"wait_for": []}, "wait_for is empty; it takes completed, interrupted, error"),
    ],
)
def test_a_wrong_argument_is_rejected(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AgentRunsValueError, match=message):
        sensor(**arguments)


def test_the_interval_fits_the_mode_unless_it_is_given() -> None:
    assert sensor().poke_interval == sensor(mode="poke").poke_interval == sensor(deferrable=True).poke_interval == 5
    assert sensor(mode="reschedule").poke_interval == 60
    assert sensor(poke_interval=timedelta(seconds=7)).poke_interval == 7
    assert sensor(mode="reschedule", poke_interval=0).poke_interval == 0


@pytest.mark.parametrize("configured", [True, False])
def test_airflows_configuration_decides_whether_to_defer(monkeypatch: pytest.MonkeyPatch, configured: bool) -> None:
    assert sensor().deferrable is False
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", str(configured))
    assert sensor().deferrable is configured
    assert sensor(deferrable=not configured).deferrable is not configured
