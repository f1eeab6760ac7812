# SPDX-License-Identifier: Apache-2.0
"""XCom does not change the values of tasks, whatever the service sends."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from airflow.api_fastapi.execution_api.datamodels.xcom import XComResponse as StoredXCom
from airflow.models.xcom import XComModel
from airflow.sdk.api.datamodels._generated import XComResponse
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time.comms import SetXCom, ToSupervisor, ToTask, XComResult, _RequestFrame, _ResponseFrame
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Decoder
from pydantic import JsonValue, TypeAdapter
from sqlalchemy.dialects import sqlite

from airflow_provider_agentruns import outputs
from airflow_provider_agentruns.exceptions import AgentRunSerializationError
from airflow_provider_agentruns.models import AgentRun
from airflow_provider_agentruns.operators.agent_run import (
    AgentRunOperator,
    AgentRunOutputOperator,
)
from tests.conformance import strategies
from tests.conformance.effort import tries

_dialect = sqlite.dialect()
_column = XComModel.__table__.c.value.type.dialect_impl(_dialect)
_into_column = _column.bind_processor(_dialect)
_out_of_column = _column.result_processor(_dialect, None)

_json_value: TypeAdapter[Any] = TypeAdapter(JsonValue)
_to_supervisor: TypeAdapter[Any] = TypeAdapter(ToSupervisor)
_to_task: TypeAdapter[Any] = TypeAdapter(ToTask)


def through_xcom(value: Any) -> Any:
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


@tries(25, 3000)
@given(st.data(), strategies.COMPLETED.map(strategies.with_small_numbers))
def test_an_output(data: st.DataObject, document: dict[str, Any]) -> None:
    run = AgentRun.model_validate(document)
    start = AgentRunOperator(task_id="start", agent="instant", business_id="b-1")
    assert json.dumps(through_xcom(start.result(run))) == json.dumps(document["output"])
    types = [artifact["type"] for artifact in document["output"]["artifacts"] if artifact["type"]]
    wanted = data.draw(st.sampled_from([None, *types]))
    output = AgentRunOutputOperator(task_id="output", run_id="r-1", artifact_type=wanted)
    artifacts = [
        artifact for artifact in document["output"]["artifacts"] if wanted is None or artifact["type"] == wanted
    ]
    pulled = through_xcom(output.result(run))
    assert json.dumps(pulled) == json.dumps({**document["output"], "artifacts": artifacts})


def survives(value: Any) -> bool:
    try:
        return json.dumps(through_xcom(value)) == json.dumps(value)
    except Exception:  # noqa: BLE001 -- Airflow can raise anything
        return False


_MEANT = st.sampled_from(
    ["dict", "set", "x.y", "builtins.tuple", "airflow.sdk.definitions.connection.Connection", None, 1]
) | st.sampled_from([{"a": 1}, [1], {"conn_id": "c"}])

#: Keys that have a meaning in Airflow's serialization, with values that an agent may write.
HOSTILE = st.fixed_dictionaries({"__type": _MEANT, "__var": _MEANT}) | st.dictionaries(
    st.sampled_from(["__classname__", "__id__", "__type", "__var", "__source", "__version__", "__data__"]),
    _MEANT,
    min_size=1,
    max_size=3,
)


@st.composite
def hostile(draw: st.DrawFn, documents: st.SearchStrategy[dict[str, Any]], under: str) -> dict[str, Any]:
    document = draw(documents)
    holder, key = draw(st.sampled_from(list(strategies.places_in(document[under]))))
    if isinstance(holder[key], dict):
        holder[key] |= draw(HOSTILE)
    elif key not in ("id", "agent", "artifacts"):
        holder[key] = draw(HOSTILE)
    return document


@pytest.mark.parametrize("under", ["interrupts", "output"])
def test_hostile_values_stay_data_or_are_rejected(under: str) -> None:
    @tries(30, 5000)
    @given(hostile(strategies.INTERRUPTED if under == "interrupts" else strategies.COMPLETED, under))
    def each(document: dict[str, Any]) -> None:
        run = AgentRun.model_validate(document)
        try:
            value = outputs.run_summary(run) if under == "interrupts" else outputs.xcom_value(run, None)
        except AgentRunSerializationError:
            assert not survives([asked.value for asked in run.interrupts] if under == "interrupts" else document[under])
        else:
            assert survives(value)

    each()
