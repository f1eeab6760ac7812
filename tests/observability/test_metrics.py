# SPDX-License-Identifier: Apache-2.0
"""What is counted, and that counting never fails a task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import AgentRunsConnectionError
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from tests.hooks.connections import connection_json
from tests.polling.fake_service import FakeRun, FakeService
from tests.polling.simulation import Simulation, Wait
from tests.polling.virtual_time import BEGINNING
from tests.support.scripted_server import ScriptedServer, answer, errors


class Recorder:
    def __init__(self) -> None:
        self.given: list[tuple[str, str, tuple[Any, ...], dict[str, str]]] = []

    def __getattr__(self, kind: str) -> Callable[..., None]:
        return lambda name, *values, tags: self.given.append((kind, name, values, tags))

    def tags(self, name: str) -> list[dict[str, str]]:
        return [tags for _, given, _, tags in self.given if given == name]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(metrics, "_stats", lambda: recorder)
    return recorder


def connect(monkeypatch: pytest.MonkeyPatch, url: str, **extra: Any) -> AgentRunHook:
    monkeypatch.setenv("AIRFLOW_CONN_MINE", connection_json(url, **extra))
    return AgentRunHook("mine")


def test_a_route_has_no_ids() -> None:
    assert requests.get_run("r/1 x").route == "/v1/runs/ID"
    assert requests.resume_run("r-1", "i-1", {}).route == "/v1/runs/ID/resume"
    assert requests.rate_artifact("r-1", "a-1", "POSITIVE").route == "/v1/runs/ID/feedback"
    assert requests.list_agents().route == "/v1/agents"


def test_each_request_is_counted_with_its_result(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    with ScriptedServer(
        [errors(429, "slow down", Retry_After="0"), errors(503, "down"), answer({"data": []})]
    ) as server:
        assert connect(monkeypatch, server.url, max_retries=2).list_agents() == []
    assert [tags["status"] for tags in recorder.tags("agentruns.requests")] == ["429", "503", "200"]
    assert {tags["route"] for tags in recorder.tags("agentruns.requests")} == {"/v1/agents"}
    assert len(recorder.tags("agentruns.requests.rate_limited")) == 1
    assert [tags["status"] for tags in recorder.tags("agentruns.requests.failed")] == ["503"]
    assert (
        len(recorder.tags("agentruns.request.duration")) == len(recorder.tags("agentruns.request.throttle_delay")) == 3
    )


def test_an_unreachable_service_is_counted(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    with pytest.raises(AgentRunsConnectionError):
        connect(monkeypatch, "http://127.0.0.1:1", max_retries=0).list_agents()
    assert [tags["status"] for tags in recorder.tags("agentruns.requests.failed")] == ["none"]


def test_the_poll_lag_rises_while_the_service_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    lags: list[tuple[float, float]] = []

    def gauge(name: str, value: float, conn_id: str) -> None:
        if name == "poll.lag":
            lags.append((seconds(), value))

    monkeypatch.setattr(metrics, "gauge", gauge)

    def seconds() -> float:
        return asyncio.get_running_loop().time() - BEGINNING

    def fault() -> Exception | None:
        return AgentRunsConnectionError("down") if 60 <= seconds() < 180 else None

    service = FakeService(page_fault=fault, read_fault=fault)
    runs = [FakeRun(f"r-{n}", [(BEGINNING, "running"), (BEGINNING + 400.0, "completed")]) for n in range(50)]
    service.add(runs)
    Simulation(service).run([Wait(run) for run in runs])
    assert max(lag for at, lag in lags if not 60 <= at < 260) < 5
    assert 90 < max(lag for _, lag in lags) < 200
    assert lags[-1][1] == 0
    assert len(lags) < 60


def test_tags_have_plain_characters(recorder: Recorder) -> None:
    metrics.count("runs.started", "my conn,é=1", agent="an agent\n|x")
    assert recorder.tags("agentruns.runs.started") == [{"conn_id": "my_conn___1", "agent": "an_agent__x"}]


def test_a_broken_backend_fails_nothing_and_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def __getattr__(self, kind: str) -> Any:
            raise OSError("the metrics server is gone")

    metrics._warn_once.cache_clear()
    monkeypatch.setattr(metrics, "_stats", Broken)
    for _ in range(2):
        metrics.count("reviews.asked", "mine")
    assert [record.getMessage() for record in caplog.records if record.name == metrics.__name__] == [
        "Airflow does not accept a metric: OSError: the metrics server is gone"
    ]
