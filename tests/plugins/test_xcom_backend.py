# SPDX-License-Identifier: Apache-2.0
"""With a custom XCom backend, pages read values through it, and send only what can be a run ID."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow.providers.common.io.xcom import backend
from airflow.sdk.bases.xcom import BaseXCom

from airflow_provider_agentruns.airflow_adapter import stored_xcom
from airflow_provider_agentruns.emulator.server import Emulator
from tests.plugins.conftest import RunOf
from tests.plugins.instances import CONNECTION, Instances
from tests.plugins.served import task_path

RENDERED = {"agentruns_conn_id": CONNECTION, "agent": "instant", "run_id": ""}
BACKEND = "AIRFLOW__CORE__XCOM_BACKEND"


class ReferenceXCom(BaseXCom):
    """Stores a short name instead of each value, as the examples in Airflow's documentation do."""

    values: dict[str, Any] = {}  # noqa: RUF012 -- the backend's store
    reads = 0

    @staticmethod
    def deserialize_value(result: Any) -> Any:
        ReferenceXCom.reads += 1
        return ReferenceXCom.values[result.value]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let Airflow store every XCom value in a folder."""
    monkeypatch.setenv(BACKEND, f"{backend.__name__}.XComObjectStorageBackend")
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", f"file://{tmp_path}/xcom")
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD", "0")
    settings = (backend._get_base_path, backend._get_compression, backend._get_threshold)
    for setting in settings:
        setting.cache_clear()
    yield tmp_path
    for setting in settings:
        setting.cache_clear()


def store(instances: Instances, place: tuple[str, str, str, int], key: str, value: Any) -> None:
    dag_id, run_id, task_id, map_index = place
    where: dict[str, Any] = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
    stored = backend.XComObjectStorageBackend.serialize_value(value, key=key, **where)
    assert isinstance(stored, str)
    assert stored.startswith("file://")
    instances.set_xcom(*place, key, stored)


@pytest.mark.usefixtures("folder", "database")
def test_a_run_in_object_storage_is_shown(reader: httpx.Client, instances: Instances, run_of: RunOf) -> None:
    place = instances.task("stored", operator="AgentRunOperator", rendered=RENDERED)
    run = run_of("instant", "completed")
    store(instances, place, "run_id", run.id)
    review = instances.task(*place[:2], task_id="review", state="success")
    store(instances, review, "trail", {"run_id": run.id, "responded_by": {"name": "Ada"}, "chosen_options": ["Yes"]})
    shown = reader.get(task_path(*place)).json()
    assert (shown["run"]["id"], shown["error"]) == (run.id, None)
    assert [(answer["who"], answer["chosen"]) for answer in shown["trail"]] == [("Ada", ["Yes"])]
    rows = reader.get("/agent-runs/api/waiting").json()["rows"]
    assert {row["run_id"] for row in rows if row["dag_id"] == "stored"} == {run.id}


def test_a_value_that_the_backend_cannot_read_is_never_sent(
    reader: httpx.Client, instances: Instances, service: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = instances.task("lost", operator="AgentRunOperator", rendered=RENDERED)
    store(instances, place, "run_id", "r-1")
    (folder / "xcom").rename(folder / "elsewhere")
    before = len(service.requests)
    assert reader.get(task_path(*place)).json()["task"]["run_id"] is None
    monkeypatch.setenv(BACKEND, f"{__name__}.ReferenceXCom")
    assert reader.get(task_path(*place)).json()["task"]["run_id"] is None
    assert len(service.requests) == before


def test_a_slow_outage_occupies_a_thread_once(
    reader: httpx.Client, instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BACKEND, f"{__name__}.ReferenceXCom")
    monkeypatch.setattr(stored_xcom, "SLOW", -1.0)
    monkeypatch.setattr(stored_xcom._Outage, "ends_at", 0.0)
    ReferenceXCom.reads = 0
    dag_run = instances.dag_run("slow")
    for index in range(5):
        place = instances.task("slow", dag_run, map_index=index, operator="AgentRunOperator", rendered=RENDERED)
        instances.set_xcom(*place, "run_id", f"reference-{index}-lost")
    assert [row["run_id"] for row in reader.get("/agent-runs/api/waiting").json()["rows"]] == [None] * 5
    assert ReferenceXCom.reads == 1
