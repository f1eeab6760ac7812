# SPDX-License-Identifier: Apache-2.0
"""What a run's status means to a waiting task, the messages about it, and the values for XCom."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_provider_agentruns.exceptions import (
    AgentRunFailedError,
    AgentRunInterruptedError,
    AgentRunInterruptGoneError,
    AgentRunSerializationError,
    AgentRunsError,
)
from airflow_provider_agentruns.models import AgentRun
from airflow_provider_agentruns.operators.agent_run import AgentRunOutputOperator
from airflow_provider_agentruns.outputs import run_summary, xcom_value
from airflow_provider_agentruns.run_outcome import describe_failure, describe_questions, has_reached, log_status


def run(status: str = "running", **fields: Any) -> AgentRun:
    return AgentRun.model_validate({"id": "r-1", "status": status, **fields})


def test_an_awaited_status_ends_the_wait() -> None:
    statuses = ("completed", "interrupted", "error", "running", "a_status_of_tomorrow")
    reached = [has_reached(run(status), statuses[:3], fail_on_interrupt=True) for status in statuses]
    assert reached == [True, True, True, False, False]


def test_an_interrupt_that_is_not_awaited() -> None:
    asking = run("interrupted", interrupts=[{"id": "i-1", "value": {"label": "Approve?"}}])
    assert has_reached(asking, ("completed",)) is False
    with pytest.raises(AgentRunInterruptedError) as caught:
        has_reached(asking, ("completed",), fail_on_interrupt=True)
    assert "Agent run r-1 waits for a person: 'Approve?' (interrupt i-1)." in str(caught.value)
    assert 'on_interrupt="wait"' in str(caught.value)


@pytest.mark.parametrize(
    ("ended", "message"),
    [
        ("error", "ended in error and its steps are unknown"),
        ("completed", "is completed, and can no longer become interrupted"),
    ],
)
def test_a_run_that_ended_otherwise_fails_the_wait(ended: str, message: str) -> None:
    with pytest.raises(AgentRunFailedError, match=message) as caught:
        has_reached(run(ended), ("interrupted",))
    assert not caught.value.retryable


FAILED = {"label": "X", "status": "error"}
NESTED = {"label": "Middle", "status": "error", "steps": [{"label": "Inner", "status": "error"}]}


@pytest.mark.parametrize(
    ("steps", "fields", "where"),
    [
        ([{"label": "Fine", "status": "completed"}], {}, "and the service names no failing step"),
        ([{"label": "Look up", "name": "look_up", "status": "error"}], {}, "at the step 'Look up' (look_up)"),
        ([{"status": "error"}], {}, "at the step 'without a name'"),
        ([{"label": "Oops", "type": "error", "status": "completed"}], {}, "at the step 'Oops'"),
        # The innermost step failed first.
        ([{"label": "Outer", "status": "error", "steps": [NESTED, {"status": "running"}]}], {}, "at the step 'Inner'"),
        ([{**FAILED, "result": {"message": "No answer"}}], {}, "at the step 'X': No answer"),
        ([{**FAILED, "error": {"message": "x" * 1000}}], {}, f"at the step 'X': {'x' * 499}…"),
        ([FAILED], {"errors": [{"message": "A"}, {"message": "B"}]}, "at the step 'X': A; B"),
        ([{**FAILED, "result": {"message": {}}}], {"errors": [7, None]}, "at the step 'X'"),
    ],
)
def test_a_failure_names_the_failing_step_and_quotes_the_service(
    steps: list[dict[str, Any]], fields: dict[str, Any], where: str
) -> None:
    assert describe_failure(run("error", steps=steps, **fields)) == f"Agent run r-1 ended in error {where}"


def test_questions_are_listed_with_their_interrupts() -> None:
    asked = [{"id": "i-1", "value": {"label": "It's so?"}}, {"id": "i-2", "value": None}]
    assert describe_questions(run("interrupted", interrupts=asked)) == (
        "\"It's so?\" (interrupt i-1), 'interrupt i-2' (interrupt i-2)"
    )
    assert describe_questions(run("interrupted")) == "the service shows no question yet"


HOSTILE = "\x1b[31m\nERROR fake line\r\u202e" + "x" * 1_000_000


def test_messages_are_bounded_and_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    ids = {"id": HOSTILE, "agent": HOSTILE, "thread_id": HOSTILE}
    asked = [{"id": f"{number}{HOSTILE}", "agent": HOSTILE, "value": {"label": HOSTILE}} for number in range(12)]
    step = {"id": HOSTILE, "label": HOSTILE, "name": f"n{HOSTILE}", "status": "error", "result": {"message": HOSTILE}}
    asking = run("interrupted", **ids, interrupts=asked)
    failed = run("error", **ids, steps=[step])
    completed = run("completed", **ids, output={"artifacts": [], HOSTILE: {HOSTILE: 2**70}})
    messages = [describe_questions(asking), describe_failure(failed)]
    for call in (
        lambda: has_reached(asking, ("completed",), fail_on_interrupt=True),
        lambda: has_reached(failed, ("completed",)),
        lambda: has_reached(completed, ("interrupted",)),
        lambda: xcom_value(completed, None),
    ):
        with pytest.raises(AgentRunsError) as caught:
            call()
        messages.append(str(caught.value))
    messages.append(str(AgentRunInterruptGoneError.of(HOSTILE, HOSTILE, asking, "someone else may have answered it")))
    messages.append(str(AgentRunsError(HOSTILE)))
    log = logging.getLogger("hostile")
    log_status(lambda level, message, *values, **_: log.warning(message, *values), HOSTILE, HOSTILE, None)
    messages += [record.getMessage() for record in caplog.records]
    messages.append(AgentRunOutputOperator(task_id="output", run_id=HOSTILE).run_label)
    assert len(messages) == 10
    for message in messages:
        assert message.isprintable()
        assert len(message) < 9_000
    assert describe_questions(asking).endswith(", and 2 more")


def test_a_summary_is_plain_json_without_the_output() -> None:
    value = {"label": "Approve?", "artifacts": [{"title": "T", "new": None}]}
    asking = run(
        "interrupted",
        agent="needs_approval",
        thread_id="t-1",
        output={"artifacts": []},
        interrupts=[{"id": "i-1", "agent": "sub", "value": value, "later": 1}, {"id": "i-2"}],
    )
    summary = run_summary(asking)
    assert summary == {
        "run_id": "r-1",
        "status": "interrupted",
        "agent": "needs_approval",
        "thread_id": "t-1",
        "interrupts": [{"id": "i-1", "agent": "sub", "value": value}, {"id": "i-2", "agent": None, "value": None}],
    }
    assert json.loads(json.dumps(summary)) == summary
    assert type(run_summary(run("a_status_of_tomorrow"))["status"]) is str


def test_an_output_is_unchanged_except_that_a_type_selects_artifacts() -> None:
    selected = {"type": "cip_summary", "title": "One", "new": 1, "sources": None}
    output = {"later": {"kept": True}, "artifacts": [{"type": "other"}, selected, {"title": "No type"}]}
    completed = run("completed", output=output)
    assert json.dumps(xcom_value(completed, None)) == json.dumps(output)
    assert xcom_value(completed, None, "cip_summary") == {"later": {"kept": True}, "artifacts": [selected]}
    for empty in (run("completed"), run("completed", output={"artifacts": None})):
        assert xcom_value(empty, None, "cip_summary") == {"artifacts": []}
    assert xcom_value(run("completed"), None) == {"artifacts": []}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([{"deep": {"__classname__": "airflow.sdk.Connection"}}], r"\[0\]\.deep has the key __classname__"),
        ([{"__type": "airflow.sdk.Connection", "__var": {}}], r"\[0\] has the key __type, __var"),
        ([2**2000], r"\[0\] is a number"),
        ([-(2**63) - 1], r"\[0\] is a number"),
        ([float("nan")], r"\[0\] is a number"),
    ],
)
def test_values_that_xcom_would_change_are_rejected(value: Any, said: str) -> None:
    with pytest.raises(AgentRunSerializationError, match=f"output of agent run r-1.more{said}"):
        xcom_value(run("completed", output={"artifacts": [], "more": value}), None)
    with pytest.raises(AgentRunSerializationError, match=rf"interrupts\[0\]\.value of agent run r-1{said}"):
        run_summary(run("interrupted", interrupts=[{"id": "i-1", "value": value}]))
