# SPDX-License-Identifier: Apache-2.0
"""The service without HTTP: reproducible and thread-safe."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from airflow_provider_agentruns.emulator.agents import BUILTIN
from airflow_provider_agentruns.emulator.errors import NotFoundError
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
            assert len(list(service.runs.values())) == len(runs)
    for run_id in runs:
        for interrupt in service.runs[run_id].interrupts:
            service.answer(run_id, interrupt["id"], {"decision": "approve"})
    clock.forward(10)
    return [service.runs[run_id].as_json(steps=True) for run_id in runs]


def test_the_same_seed_gives_the_same_runs_however_often_they_are_read() -> None:
    assert _finished(7, read_often=True) == _finished(7, read_often=False)


def test_another_seed_gives_other_ids() -> None:
    ids = [{run["id"] for run in _finished(seed, read_often=False)} for seed in (1, 2)]
    assert not ids[0] & ids[1]


def test_ids_are_unique() -> None:
    service = Service(speed=float("inf"))
    ids = [service.create_run("slow", business_id=BUSINESS_ID).as_json(steps=True)["id"] for _ in range(100)]
    ids += [step.id for run in service.runs.values() for step in run.steps]
    ids += [run.thread_id for run in service.runs.values()]
    ids += service.add_finished_runs(100) + service.add_finished_runs(100)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_the_speed_must_be_positive(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        Service(speed=speed)


def test_times_do_not_depend_on_when_a_run_is_read() -> None:
    clock = Clock()
    service = Service(clock=clock)
    run_id = service.create_run("slow", business_id=BUSINESS_ID).id
    clock.forward(3600)
    run = service.runs[run_id]
    assert run.ended_at
    assert 5 <= (run.ended_at - run.created_at).total_seconds() < 5.01


def test_runs_are_a_mapping() -> None:
    service = Service(speed=float("inf"))
    service.add_finished_runs(2)
    run = service.create_run("instant", business_id=BUSINESS_ID)
    assert list(service.runs)[-1] == run.id
    assert len(service.runs) == 3
    assert run.id in service.runs
    assert service.runs[run.id.upper()] is run
    assert "nobody" not in service.runs
    with pytest.raises(NotFoundError):
        service.get_run("nobody")


def test_finished_runs_are_older_than_all_others() -> None:
    service = Service(speed=float("inf"))
    run = service.create_run("instant", business_id=BUSINESS_ID)
    completed = service.add_finished_runs(3)
    failed = service.add_finished_runs(2, agent="fails", status="error")
    assert [found.id for found in service.list_runs().items] == [run.id, *completed[::-1], *failed[::-1]]
    assert [found.status for found in service.list_runs().items] == ["completed"] * 4 + ["error"] * 2
    created = [found.created_at for found in service.list_runs().items]
    assert created == sorted(created, reverse=True)
    threads = [thread.id for thread in service.list_threads().items]
    assert threads == [service.runs[run_id].thread_id for run_id in (run.id, completed[0], failed[0])]


def test_it_is_thread_safe() -> None:
    service = Service(speed=1000)
    problems: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                run = service.create_run("slow", business_id=BUSINESS_ID)
                while not service.runs[run.id].finished:
                    for other in service.list_runs().items:
                        other.as_json(steps=True)
        except BaseException as problem:
            problems.append(problem)
            raise

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not problems
    assert {run.status for run in service.runs.values()} == {"completed"}
    assert len(service.runs) == 80
