# SPDX-License-Identifier: Apache-2.0
"""The service without HTTP is reproducible."""

from __future__ import annotations

from typing import Any

from airflow_provider_agentruns.emulator.agent_scripts import BUILTIN
from airflow_provider_agentruns.emulator.service import Service
from tests.emulator.conftest import Clock
from tests.emulator.contract import BUSINESS_ID


def _finished(seed: int, *, read_often: bool) -> list[Any]:
    clock = Clock()
    service = Service(seed, clock=clock)
    runs = [service.create_run(agent, business_id=BUSINESS_ID).id for agent in BUILTIN]
    for _ in range(40):
        clock.forward(0.25)
        if read_often:
            assert list(service.runs) == runs
    for run_id in runs:
        for interrupt in service.runs[run_id].interrupts:
            service.answer(run_id, interrupt["id"], {"decision": "approve"})
    clock.forward(10)
    return [service.runs[run_id].as_json(steps=True) for run_id in runs]


def test_the_same_seed_gives_the_same_runs_however_often_they_are_read() -> None:
    often = _finished(7, read_often=True)
    assert often == _finished(7, read_often=False)
    assert not {run["id"] for run in often} & {run["id"] for run in _finished(8, read_often=False)}
