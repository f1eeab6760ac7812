# SPDX-License-Identifier: Apache-2.0
"""XCom does not change the values of tasks, whatever the service sends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_agentruns import xcom_values
from airflow_provider_agentruns.exceptions import AgentRunSerializationError
from airflow_provider_agentruns.models import AgentRun
from airflow_provider_agentruns.operators.agent_run import (
    AgentRunOperator,
    AgentRunOutputOperator,
    AgentRunResumeOperator,
)
from tests.conformance import strategies
from tests.conformance.effort import tries
from tests.conformance.xcom import through_xcom


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


@tries(25, 3000)
@given(strategies.RUNS.map(strategies.with_small_numbers))
def test_a_summary(document: dict[str, Any]) -> None:
    run = AgentRun.model_validate(document)
    summary = xcom_values.run_summary(run)
    assert json.dumps(through_xcom(summary)) == json.dumps(summary)
    resume = AgentRunResumeOperator(task_id="resume", run_id=run.id, interrupt_id="i-1", input="yes")
    assert through_xcom(resume.result(run)) == {
        "run_id": document["id"],
        "status": document["status"],
        "interrupt_id": "i-1",
    }


def survives(value: Any) -> bool:
    """Whether XCom returns a value unchanged."""
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
    """Draw a run in which an agent uses such keys."""
    document = draw(documents)
    holder, key = draw(st.sampled_from(list(strategies.places_in(document[under]))))
    if isinstance(holder[key], dict):
        holder[key] |= draw(HOSTILE)
    elif key not in ("id", "agent", "artifacts"):
        holder[key] = draw(HOSTILE)
    return document


def check_refused_or_same(hand_on: Callable[[], Any], raw: Any) -> None:
    """A value is rejected exactly if XCom would change it."""
    try:
        value = hand_on()
    except AgentRunSerializationError:
        assert not survives(raw)
    else:
        assert survives(value)


@tries(30, 5000)
@given(hostile(strategies.INTERRUPTED, "interrupts"))
def test_a_hostile_question_stays_data_or_is_rejected(document: dict[str, Any]) -> None:
    run = AgentRun.model_validate(document)
    check_refused_or_same(lambda: xcom_values.run_summary(run), [asked.value for asked in run.interrupts])


@tries(30, 5000)
@given(hostile(strategies.COMPLETED, "output"))
def test_a_hostile_output_stays_data_or_is_rejected(document: dict[str, Any]) -> None:
    run = AgentRun.model_validate(document)
    check_refused_or_same(lambda: xcom_values.xcom_value(run, None), document["output"])
