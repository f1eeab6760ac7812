# SPDX-License-Identifier: Apache-2.0
"""The trigger that reads the answer to a form fires once, with or without an answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from airflow.models.trigger import Trigger
from airflow.sdk.api.datamodels._generated import HITLDetailResponse
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_agentruns.triggers.agent_run import FormAnswerTrigger

TI_ID = str(uuid4())
ANSWER = {
    "chosen_options": ["Approve"],
    "params_input": {"note": "Fine"},
    "responded_at": datetime(2026, 1, 31, 12, tzinfo=UTC),
    "responded_by_user": {"id": "ann", "name": "Ann"},
}
EVENT = {**ANSWER, "timedout": False}


class Supervisor:
    def __init__(self, form: Any) -> None:
        self.form = form

    def send(self, msg: Any) -> Any:
        if isinstance(self.form, int):
            detail = {"status_code": self.form, "message": "no form"}
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))
        return HITLDetailResponse.model_validate(self.form)


async def fired(monkeypatch: pytest.MonkeyPatch, form: Any) -> list[Any]:
    monkeypatch.setattr("airflow_provider_agentruns.triggers.agent_run._FORM_PAUSE", 0.0)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(form), raising=False)
    return [event.payload async for event in FormAnswerTrigger(TI_ID).run()]


NOTHING = {"response_received": False, "responded_at": None, "chosen_options": None}
TIMEOUT = {**ANSWER, "response_received": True, "responded_by_user": None}


@pytest.mark.parametrize(
    ("form", "event"),
    [
        ({**ANSWER, "response_received": True}, EVENT),
        (TIMEOUT, {**EVENT, "responded_by_user": None, "timedout": True}),
        (NOTHING, {"form": True}),
        (404, {"form": False}),
    ],
)
async def test_it_fires_once_with_what_airflow_holds(monkeypatch: pytest.MonkeyPatch, form: Any, event: Any) -> None:
    assert await fired(monkeypatch, form) == [event]


async def test_an_error_of_airflow_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AirflowRuntimeError):
        await fired(monkeypatch, 500)


def test_airflow_stores_it() -> None:
    stored = Trigger.from_object(FormAnswerTrigger(TI_ID))
    assert stored.classpath == "airflow_provider_agentruns.triggers.agent_run.FormAnswerTrigger"
    assert stored.kwargs == {"ti_id": TI_ID}
