# SPDX-License-Identifier: Apache-2.0
"""Passes a value from one task to another through XCom, with Airflow's own encoders and decoders."""

from __future__ import annotations

import json
from typing import Any

import httpx
from airflow.api_fastapi.execution_api.datamodels.xcom import XComResponse as StoredXCom
from airflow.models.xcom import XComModel
from airflow.sdk.api.datamodels._generated import XComResponse
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time.comms import SetXCom, ToSupervisor, ToTask, XComResult, _RequestFrame, _ResponseFrame
from msgspec.msgpack import Decoder
from pydantic import JsonValue, TypeAdapter
from sqlalchemy.dialects import sqlite

_dialect = sqlite.dialect()
_column = XComModel.__table__.c.value.type.dialect_impl(_dialect)
_into_column = _column.bind_processor(_dialect)
_out_of_column = _column.result_processor(_dialect, None)

_json_value: TypeAdapter[Any] = TypeAdapter(JsonValue)
_to_supervisor: TypeAdapter[Any] = TypeAdapter(ToSupervisor)
_to_task: TypeAdapter[Any] = TypeAdapter(ToTask)


def through_xcom(value: Any) -> Any:
    """Push a value, and return what another task pulls."""
    serialized: Any = BaseXCom.serialize_value(value)
    push = SetXCom(key="return_value", value=serialized, dag_id="d", run_id="r", task_id="t")
    frame = _RequestFrame(id=1, body=push.model_dump()).as_bytes()
    pushed = _to_supervisor.validate_python(Decoder(_RequestFrame).decode(frame[4:]).body)

    request = httpx.Request("POST", "http://api-server/xcoms", json=pushed.value)
    stored = _out_of_column(_into_column(_json_value.validate_python(json.loads(request.content))))

    answer = StoredXCom(key="return_value", value=stored).model_dump(mode="json")
    response = httpx.Response(200, content=json.dumps(answer, allow_nan=False, ensure_ascii=False).encode())
    result = XComResult.from_xcom_response(XComResponse.model_validate_json(response.read()))
    frame = _ResponseFrame(id=1, body=result.model_dump(exclude_unset=True)).as_bytes()
    return BaseXCom.deserialize_value(_to_task.validate_python(Decoder(_ResponseFrame).decode(frame[4:]).body))
