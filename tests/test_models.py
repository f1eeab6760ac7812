# SPDX-License-Identifier: Apache-2.0
"""The models are lenient, keep all fields, and show no content in logs."""

from __future__ import annotations

import json
from typing import Any

import pendulum
import pytest
from pydantic import BaseModel, ValidationError

from airflow_provider_agentruns import models
from airflow_provider_agentruns.models import Agent, AgentRun, Interrupt, Output, RunEvent, RunPage, RunStatus, Step

SECRET = "Jane Doe, born 1980-01-01"

WHOLE_RUN: dict[str, Any] = {
    "object": "run",
    "id": "r-1",
    "created_at": "2026-08-01T12:00:00Z",
    "status": "completed",
    "agent": "cip_orchestrator",
    "requester": {"id": "u-1", "name": "Ann", "email": None},
    "ended_at": None,
    "output": {
        "artifacts": [{"type": "cip_summary", "title": "Summary", "summary": None, "sources": None, "new": 1}],
        "later": {"kept": True},
    },
    "interrupts": [{"id": "i-1", "agent": None, "value": {"label": "Well?"}, "asked_by": "a"}],
    "steps": [{"id": "s-1", "type": "activity", "steps": [{"id": "s-2", "duration_ms": 5}], "result": None}],
    "cost": {"cents": 12},
}


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        (Interrupt, {"id": "i"}),
        (Agent, {"id": "a", "type": "t"}),
        (RunEvent, {"type": "RUN_STARTED"}),
        (AgentRun, {"id": "r", "status": "running"}),
    ],
)
def test_only_identifying_fields_are_required(kind: type[BaseModel], needed: dict[str, Any]) -> None:
    nulls = dict.fromkeys(kind.model_fields)
    kind.model_validate({**nulls, **needed})
    for name in needed:
        with pytest.raises(ValidationError):
            kind.model_validate({**needed, name: None})


def test_a_completed_run_and_one_with_an_error_are_finished() -> None:
    assert [status for status in RunStatus if status.finished] == ["completed", "error"]
    assert AgentRun.model_validate({"id": "r", "status": "running"}).status is RunStatus.RUNNING


def test_an_unknown_status_is_not_finished_and_warned_about_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_warned_of", set())
    document = {"id": "r", "status": "paused_for_audit"}
    run, again = AgentRun.model_validate(document), AgentRun.model_validate_json(json.dumps(document))
    assert run.status == again.status == "paused_for_audit" == str(run.status)
    assert (run.status.finished, run.model_dump(mode="json")["status"]) == (False, "paused_for_audit")
    assert list(RunStatus) == ["running", "completed", "error", "interrupted"]
    assert caplog.messages == [
        "The service returned the unknown run status 'paused_for_audit', which counts as not finished"
    ]


@pytest.mark.parametrize("status", [None, 5, ["running"]])
def test_a_status_is_text(status: Any) -> None:
    with pytest.raises(ValidationError):
        AgentRun.model_validate({"id": "r", "status": status})


def test_the_raw_output_is_unchanged() -> None:
    run = AgentRun.model_validate(WHOLE_RUN)
    assert run.raw_output is WHOLE_RUN["output"]
    assert list(run.raw_output["artifacts"][0]) == ["type", "title", "summary", "sources", "new"]
    assert "raw_output" not in run.model_dump()
    page = RunPage.model_validate({"data": [WHOLE_RUN, {"id": "r", "status": "running"}]})
    assert [run.raw_output for run in page.data] == [WHOLE_RUN["output"], None]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-08-01T12:00:00Z", pendulum.datetime(2026, 8, 1, 12)),
        ("2026-08-01T14:00:00.123456+02:00", pendulum.datetime(2026, 8, 1, 12, 0, 0, 123456)),
        ("2026-08-01", pendulum.datetime(2026, 8, 1)),
    ],
)
def test_times_are_instants_with_a_time_zone(text: str, moment: pendulum.DateTime) -> None:
    created = AgentRun.model_validate({"id": "r", "status": "running", "created_at": text}).created_at
    assert isinstance(created, pendulum.DateTime)
    assert created == moment
    assert created.utcoffset() is not None


@pytest.mark.parametrize("value", ["", "P1D", "2026-13-01T00:00:00Z", 1754049600, ["2026"]])
def test_other_values_are_not_times(value: Any) -> None:
    with pytest.raises(ValidationError, match="ISO 8601"):
        AgentRun.model_validate({"id": "r", "status": "running", "created_at": value})


@pytest.mark.parametrize(
    ("kind", "content", "shown"),
    [
        (
            AgentRun,
            {**WHOLE_RUN, "requester": {"name": SECRET}, "note": SECRET},
            "AgentRun(id='r-1', status='completed', agent='cip_orchestrator')",
        ),
        (Interrupt, {"id": "i-1", "value": {"label": SECRET}}, "Interrupt(id='i-1')"),
        (Output, {"artifacts": [{"title": SECRET}], "note": SECRET}, "Output()"),
    ],
)
def test_a_repr_shows_no_content(kind: type[BaseModel], content: dict[str, Any], shown: str) -> None:
    thing = kind.model_validate(content)
    assert repr(thing) == str(thing) == f"{thing}" == shown


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ({"label": "Approve?"}, "Approve?"),
        ({"type": "combined_proposal", "proposals": [{"label": "One?"}, {}, "x", {"label": "Two?"}]}, "One?; Two?"),
        ({"proposals": [{"proposals": [{"label": "Deep?"}]}]}, "Deep?"),
        ({"label": ""}, "interrupt i-1"),
        (["list"], "interrupt i-1"),
    ],
)
def test_the_label_of_an_interrupt(value: Any, label: str) -> None:
    assert Interrupt.model_validate({"id": "i-1", "value": value}).label == label


def test_steps_are_walked_outermost_first() -> None:
    tree = {"id": "a", "steps": [{"id": "b", "steps": [{"id": "c"}]}, {"id": "d", "steps": None}]}
    assert [step.id for step in Step.model_validate(tree).walk()] == ["a", "b", "c", "d"]
