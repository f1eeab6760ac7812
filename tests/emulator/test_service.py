# SPDX-License-Identifier: Apache-2.0
"""The service without HTTP: reproducible and thread-safe."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
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


def test_it_is_thread_safe() -> None:
    service = Service(speed=1000)

    def work(_: int) -> None:
        for _ in range(20):
            run = service.create_run("slow", business_id=BUSINESS_ID)
            while not service.runs[run.id].finished:
                for other in service.runs.values():
                    other.as_json(steps=True)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [None] * 4
    assert [run.status for run in service.runs.values()] == ["completed"] * 80
