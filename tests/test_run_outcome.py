# SPDX-License-Identifier: Apache-2.0
"""What a run's status means to a waiting task, the messages about it, and the values for XCom."""

from __future__ import annotations

import copy
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
from airflow_provider_agentruns.models import AgentRun, RunStatus
from airflow_provider_agentruns.operators.agent_run import AgentRunOutputOperator
from airflow_provider_agentruns.run_outcome import describe_failure, describe_questions, has_reached, log_status
from airflow_provider_agentruns.xcom_values import output_envelope, run_summary, xcom_value


def run(status: str = "running", **fields: Any) -> AgentRun:
    """Return a run as the service would send it."""
    return AgentRun.model_validate({"id": "r-1", "status": status, **fields})


def failed(*steps: dict[str, Any], **fields: Any) -> AgentRun:
    """Return a run that ended in error with these steps."""
    return run("error", steps=list(steps), **fields)


@pytest.mark.parametrize("fail_on_interrupt", [True, False])
@pytest.mark.parametrize("status", ["completed", "interrupted", "error"])
def test_an_awaited_status_ends_the_wait(status: str, fail_on_interrupt: bool) -> None:
    for wait_for in ((status,), ("completed", "interrupted", "error"), {status}, [RunStatus(status)]):
        assert has_reached(run(status), wait_for, fail_on_interrupt=fail_on_interrupt) is True


@pytest.mark.parametrize("status", ["running", "a_status_of_tomorrow"])
def test_other_statuses_do_not(status: str) -> None:
    for wait_for in (("completed",), ("interrupted",), ("completed", "error")):
        assert has_reached(run(status), wait_for, fail_on_interrupt=True) is False


def test_an_interrupt_that_is_not_awaited() -> None:
    asking = run("interrupted", interrupts=[{"id": "i-1", "value": {"label": "Approve?"}}])
    assert has_reached(asking, ("completed",)) is False
    with pytest.raises(AgentRunInterruptedError) as caught:
        has_reached(asking, ("completed",), fail_on_interrupt=True)
    assert "Agent run r-1 waits for a person: 'Approve?' (interrupt i-1)." in str(caught.value)
    assert 'on_interrupt="wait"' in str(caught.value)


@pytest.mark.parametrize(
    ("ended", "wait_for", "message"),
    [
        ("error", ("completed", "interrupted"), "ended in error and the service names no failing step"),
        ("completed", ("interrupted",), "is completed, and can no longer become interrupted"),
        ("completed", ("interrupted", "error"), "is completed, and can no longer become interrupted or error"),
    ],
)
def test_a_run_that_ended_otherwise_fails_the_wait(ended: str, wait_for: tuple[str, ...], message: str) -> None:
    with pytest.raises(AgentRunFailedError, match=message) as caught:
        has_reached(run(ended), wait_for)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("steps", "where"),
    [
        ([], "and the service names no failing step"),
        ([{"label": "Fine", "status": "completed"}], "and the service names no failing step"),
        ([{"label": "Look up", "name": "look_up", "status": "error"}], "at the step 'Look up' (look_up)"),
        ([{"name": "look_up", "status": "error"}], "at the step 'look_up'"),
        ([{"label": "look_up", "name": "look_up", "status": "error"}], "at the step 'look_up'"),
        ([{"id": "s-1", "status": "error"}], "at the step 's-1'"),
        ([{"status": "error"}], "at the step 'without a name'"),
        ([{"label": "Oops", "type": "error", "status": "completed"}], "at the step 'Oops'"),
        (
            [
                {"label": "Fine", "status": "completed"},
                {
                    "label": "Outer",
                    "status": "error",
                    "steps": [
                        {"label": "Before", "status": "completed"},
                        {"label": "Middle", "status": "error", "steps": [{"label": "Inner", "status": "error"}]},
                        {"label": "After", "status": "running"},
                    ],
                },
            ],
            "at the step 'Inner'",
        ),
    ],
)
def test_a_failure_names_the_innermost_failing_step(steps: list[dict[str, Any]], where: str) -> None:
    assert describe_failure(failed(*steps)) == f"Agent run r-1 ended in error {where}"


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (failed({"label": "Look up", "status": "error", "result": {"message": "No answer"}}), "No answer"),
        (failed({"label": "Look up", "status": "error", "message": "No answer"}), "No answer"),
        (failed({"label": "Look up", "status": "error", "error": "No answer"}), "No answer"),
        (failed({"label": "Look up", "status": "error", "error": {"message": "x" * 1000}}), "x" * 499 + "…"),
        (failed({"label": "Look up", "status": "error"}, errors=[{"message": "A"}, {"message": "B"}]), "A; B"),
        (failed({"label": "Look up", "status": "error", "result": {"message": {}}}, errors=[7, None]), None),
    ],
)
def test_a_failure_quotes_the_service(ended: AgentRun, said: str | None) -> None:
    assert describe_failure(ended) == "Agent run r-1 ended in error at the step 'Look up'" + (
        f": {said}" if said else ""
    )


def test_questions_are_listed_with_their_interrupts() -> None:
    asked = [{"id": "i-1", "value": {"label": "It's so?"}}, {"id": "i-2", "value": None}]
    assert describe_questions(run("interrupted", interrupts=asked)) == (
        "\"It's so?\" (interrupt i-1), 'interrupt i-2' (interrupt i-2)"
    )
    assert describe_questions(run("interrupted")) == "the service shows no question yet"


HOSTILE = "\x1b[31m\nERROR fake line\r\u202e" + "x" * 1_000_000


def hostile_runs() -> list[AgentRun]:
    """Return runs in which every text is long and has control characters."""
    ids = {"id": HOSTILE, "agent": HOSTILE, "thread_id": HOSTILE}
    asked = [{"id": f"{number}{HOSTILE}", "agent": HOSTILE, "value": {"label": HOSTILE}} for number in range(12)]
    step = {"id": HOSTILE, "label": HOSTILE, "name": f"n{HOSTILE}", "status": "error", "result": {"message": HOSTILE}}
    return [
        AgentRun.model_validate({**ids, "status": "interrupted", "interrupts": asked}),
        AgentRun.model_validate({**ids, "status": "error", "steps": [step]}),
        AgentRun.model_validate({**ids, "status": "completed", "output": {"artifacts": [], HOSTILE: {HOSTILE: 2**70}}}),
    ]


def test_messages_are_bounded_and_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    asking, failed_run, completed = hostile_runs()
    messages = [describe_questions(asking), describe_failure(failed_run)]
    for call in (
        lambda: has_reached(asking, ("completed",), fail_on_interrupt=True),
        lambda: has_reached(failed_run, ("completed",)),
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
    task = AgentRunOutputOperator(task_id="output", run_id=HOSTILE)
    messages.append(task.run_label)
    assert len(messages) == 10
    for message in messages:
        assert message.isprintable()
        assert len(message) < 9_000
    assert describe_questions(asking).endswith(", and 2 more")
    assert len(task.run_label) <= 250


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
    for status in ("interrupted", "a_status_of_tomorrow"):
        assert type(run_summary(run(status))["status"]) is str


OUTPUT: dict[str, Any] = {
    "later": {"kept": True},
    "artifacts": [
        {"type": "cip_summary", "title": "One", "new": 1},
        {"type": "other", "title": "Two"},
        {"title": "No type"},
        {"type": "cip_summary", "title": "Three", "sources": None},
    ],
}


def test_an_output_is_unchanged() -> None:
    envelope = output_envelope(run("completed", output=OUTPUT))
    assert envelope == OUTPUT
    assert list(envelope) == ["later", "artifacts"]


def test_a_type_selects_artifacts_and_keeps_other_fields() -> None:
    before = copy.deepcopy(OUTPUT)
    assert output_envelope(run("completed", output=OUTPUT), "cip_summary") == {
        "later": {"kept": True},
        "artifacts": [OUTPUT["artifacts"][0], OUTPUT["artifacts"][3]],
    }
    assert output_envelope(run("completed", output=OUTPUT), "none_such")["artifacts"] == []
    assert before == OUTPUT


@pytest.mark.parametrize("artifact_type", [None, "cip_summary"])
def test_no_output_is_an_empty_envelope(artifact_type: str | None) -> None:
    assert output_envelope(run("completed"), artifact_type) == {"artifacts": []}
    assert output_envelope(run("completed", output=None), artifact_type) == {"artifacts": []}


def test_an_output_whose_artifacts_are_null_can_be_filtered() -> None:
    assert output_envelope(run("completed", output={"artifacts": None}), "cip_summary") == {"artifacts": []}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([{"deep": {"__classname__": "airflow.sdk.Connection"}}], r"\[0\]\.deep has the key __classname__"),
        ([{"__id__": 1}], r"\[0\] has the key __id__"),
        ([{"__type": "airflow.sdk.Connection", "__var": {}}], r"\[0\] has the key __type, __var"),
        ([2**64], r"\[0\] is a number"),
        ([-(2**63) - 1], r"\[0\] is a number"),
        ([float("inf")], r"\[0\] is a number"),
        ([float("nan")], r"\[0\] is a number"),
    ],
)
def test_values_that_xcom_would_change_are_rejected(value: Any, said: str) -> None:
    with pytest.raises(AgentRunSerializationError, match=f"output of agent run r-1.more{said}"):
        xcom_value(run("completed", output={"artifacts": [], "more": value}), None)
    with pytest.raises(AgentRunSerializationError, match=rf"interrupts\[0\]\.value of agent run r-1{said}"):
        run_summary(run("interrupted", interrupts=[{"id": "i-1", "value": value}]))


def test_similar_values_are_accepted() -> None:
    more = [{"__type": 1}, {"__var": 2}, {"type": "__classname__"}, 2**64 - 1, -(2**63), 1e300, True, None]
    output = {"artifacts": [], "more": more}
    assert xcom_value(run("completed", output=output), None) == output
