# SPDX-License-Identifier: Apache-2.0
"""A review with an audit folder stores its trail once, before it counts as done."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_agentruns.audit import trail
from airflow_provider_agentruns.exceptions import AgentRunsError
from airflow_provider_agentruns.operators import review_submission
from airflow_provider_agentruns.operators.agent_run import AgentRunReviewOperator
from tests.operators.reviewing import ANN, Service, TaskInstance, event, review
from tests.operators.test_review_operator import ask
from tests.support.airflow_versions import needs_state_store


@pytest.fixture
def folder(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    uri = os.environ["AIRFLOW_CONN_AGENTRUNS_DEFAULT"]
    folder = tmp_path / "audit"
    monkeypatch.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", f"{uri}?audit_path={quote(f'file://{folder}', safe='')}")
    return folder


def stored(folder: Path) -> list[Any]:
    return [json.loads(path.read_text()) for path in folder.iterdir()]


def retried(ti: TaskInstance, **arguments: Any) -> AgentRunReviewOperator:
    ti.try_number += 1
    ti.xcoms = {}
    return review(**arguments)


def test_the_document_contains_the_trail(service: Service, ti: TaskInstance, folder: Path) -> None:
    task = ask(ti)
    assert not folder.exists()
    task.execute_complete(ti.context, event("Approve"))
    [document] = stored(folder)
    assert document.items() >= ti.xcoms["trail"].items()
    assert (document["responded_by"], document["delivery"]) == (ANN, "confirmed")
    assert (document["dag_id"], document["dag_run_id"], document["task_id"]) == (ti.dag_id, ti.run_id, ti.task_id)


@needs_state_store
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_worker_that_dies_while_it_writes_leaves_one_document(
    service: Service, ti: TaskInstance, folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    write = review_submission.write_document

    def dies(*arguments: Any) -> Any:
        if moment == "after":
            write(*arguments)
        raise KeyboardInterrupt

    task = ask(ti)
    with monkeypatch.context() as dying:
        dying.setattr(review_submission, "write_document", dies)
        with pytest.raises(KeyboardInterrupt):
            task.execute_complete(ti.context, event("Approve"))
    result = retried(ti).execute(ti.context)
    [document] = stored(folder)
    assert document["chosen_options"] == result["chosen_options"] == ["Approve"]
    assert document["try_number"] == (1 if moment == "after" else 2)
    assert len(service.answers) == 1


@needs_state_store
def test_nothing_is_sent_without_the_folder(service: Service, ti: TaskInstance, folder: Path) -> None:
    task = ask(ti)
    folder.touch()
    with pytest.raises(AgentRunsError, match=r"audit_path \(extra\): cannot use"):
        task.execute_complete(ti.context, event("Approve"))
    assert service.answers == []
    assert ti.xcoms["trail"]["delivery"] == "not sent"
    folder.unlink()
    retried(ti).execute(ti.context)
    assert (len(service.answers), len(stored(folder))) == (1, 1)


@needs_state_store
def test_a_document_that_cannot_be_written_fails_the_task(
    service: Service, ti: TaskInstance, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ask(ti)
    with monkeypatch.context() as broken:
        broken.setattr(trail, "file_name_part", lambda text, limit: "missing/x")
        written = r"could not be written: FileNotFoundError.*does not send the answer again"
        with pytest.raises(AgentRunsError, match=written) as error:
            task.execute_complete(ti.context, event("Approve"))
    assert error.value.retryable
    assert ti.xcoms["trail"]["delivery"] == "confirmed"
    retried(ti).execute(ti.context)
    assert (len(service.answers), len(stored(folder))) == (1, 1)
