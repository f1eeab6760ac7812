# SPDX-License-Identifier: Apache-2.0
"""What a run's status means to a task that waits, and how it is said."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from airflow_provider_agentruns.arguments import check_wait_for
from airflow_provider_agentruns.exceptions import (
    AgentRunFailedError,
    AgentRunInterruptedError,
    AgentRunSerializationError,
    AgentRunsValueError,
)
from airflow_provider_agentruns.models import AgentRun, RunStatus
from airflow_provider_agentruns.run_outcome import describe_failure, describe_questions, has_reached
from airflow_provider_agentruns.xcom_values import output_envelope, run_summary, xcom_value

ENDED = ("completed", "error")


def run(status: str = "running", **fields: Any) -> AgentRun:
    """Return a run as the service would send it."""
    return AgentRun.model_validate({"id": "r-1", "status": status, **fields})


def failed(*steps: dict[str, Any], **fields: Any) -> AgentRun:
    """Return a run that ended in error with these steps."""
    return run("error", steps=list(steps), **fields)


@pytest.mark.parametrize("status", ["completed", "interrupted", "error"])
@pytest.mark.parametrize("fail_on_interrupt", [True, False])
def test_a_status_that_is_awaited_ends_the_wait_well(status: str, fail_on_interrupt: bool) -> None:
    for wait_for in ((status,), ("completed", "interrupted", "error"), {status}, [RunStatus(status)]):
        assert has_reached(run(status), wait_for, fail_on_interrupt=fail_on_interrupt) is True


@pytest.mark.parametrize("status", ["running", "a_status_of_tomorrow"])
@pytest.mark.parametrize("wait_for", [("completed",), ("interrupted",), ENDED])
def test_a_run_at_work_is_waited_for(status: str, wait_for: tuple[str, ...]) -> None:
    assert has_reached(run(status), wait_for, fail_on_interrupt=True) is False


def test_an_interrupt_that_is_not_awaited_is_waited_out_or_fails_as_was_asked() -> None:
    asking = run("interrupted", interrupts=[{"id": "i-1", "value": {"label": "Approve?"}}])
    assert has_reached(asking, ("completed",)) is False
    with pytest.raises(AgentRunInterruptedError) as caught:
        has_reached(asking, ("completed",), fail_on_interrupt=True)
    assert "Agent run r-1 waits for a person: 'Approve?' (interrupt i-1)." in str(caught.value)
    assert 'on_interrupt="wait"' in str(caught.value)


@pytest.mark.parametrize("wait_for", [("completed",), ("interrupted",), ("completed", "interrupted")])
def test_a_run_that_ended_in_error_fails_the_wait_at_its_step(wait_for: tuple[str, ...]) -> None:
    with pytest.raises(AgentRunFailedError, match=r"^Agent run r-1 ended in error at the step 'Look up'$") as caught:
        has_reached(failed({"label": "Look up", "status": "error"}), wait_for)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("status", "wait_for", "said"),
    [
        ("completed", ("interrupted",), "is completed, and can no longer become interrupted"),
        ("completed", ("interrupted", "error"), "is completed, and can no longer become interrupted or error"),
    ],
)
def test_a_run_that_ended_otherwise_than_awaited_fails_the_wait(
    status: str, wait_for: tuple[str, ...], said: str
) -> None:
    with pytest.raises(AgentRunFailedError, match=said):
        has_reached(run(status), wait_for)


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
def test_a_failure_is_told_with_the_innermost_step_that_failed(steps: list[dict[str, Any]], where: str) -> None:
    assert describe_failure(failed(*steps)) == f"Agent run r-1 ended in error {where}"


def test_a_failure_is_told_with_the_agent_and_without_steps() -> None:
    assert describe_failure(run("error", agent="fails")) == (
        "Agent run r-1 of fails ended in error and the service names no failing step"
    )


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
def test_a_failure_is_told_with_what_the_service_says_of_it(ended: AgentRun, said: str | None) -> None:
    assert describe_failure(ended) == "Agent run r-1 ended in error at the step 'Look up'" + (
        f": {said}" if said else ""
    )


def test_questions_are_told_with_their_interrupts() -> None:
    asked = [{"id": "i-1", "value": {"label": "It's so?"}}, {"id": "i-2", "value": None}]
    assert describe_questions(run("interrupted", interrupts=asked)) == (
        "\"It's so?\" (interrupt i-1), 'interrupt i-2' (interrupt i-2)"
    )
    assert describe_questions(run("interrupted")) == "the service shows no question yet"


def test_many_and_long_questions_are_cut() -> None:
    asked = [{"id": f"i-{number}", "value": {"label": "x" * 10_000}} for number in range(12)]
    told = describe_questions(run("interrupted", interrupts=asked))
    assert told.count("interrupt i-") == 10
    assert told.endswith(", and 2 more")
    assert len(told) < 10 * 350
    ten = describe_questions(run("interrupted", interrupts=asked[:10]))
    assert "more" not in ten


def test_a_summary_is_plain_json_without_the_output() -> None:
    value = {"label": "Approve?", "artifacts": [{"title": "T", "new": None}]}
    asking = run(
        "interrupted",
        agent="needs_approval",
        thread_id="t-1",
        output={"artifacts": []},
        interrupts=[{"id": "i-1", "agent": "sub", "value": value, "later": 1}, {"id": "i-2"}],
    )
    told = run_summary(asking)
    assert told == {
        "run_id": "r-1",
        "status": "interrupted",
        "agent": "needs_approval",
        "thread_id": "t-1",
        "interrupts": [{"id": "i-1", "agent": "sub", "value": value}, {"id": "i-2", "agent": None, "value": None}],
    }
    assert json.loads(json.dumps(told)) == told
    assert type(told["status"]) is str


def test_a_summary_of_a_status_of_tomorrow_is_plain_too() -> None:
    told = run_summary(run("a_status_of_tomorrow"))
    assert (told["status"], type(told["status"]), told["interrupts"]) == ("a_status_of_tomorrow", str, [])


OUTPUT: dict[str, Any] = {
    "later": {"kept": True},
    "artifacts": [
        {"type": "cip_summary", "title": "One", "new": 1},
        {"type": "other", "title": "Two"},
        {"title": "No type"},
        {"type": "cip_summary", "title": "Three", "sources": None},
    ],
}


def test_an_output_is_handed_on_unchanged() -> None:
    envelope = output_envelope(run("completed", output=OUTPUT))
    assert envelope == OUTPUT
    assert list(envelope) == ["later", "artifacts"]


def test_an_output_can_be_filtered_by_type_and_keeps_all_else() -> None:
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


def test_a_wait_is_for_statuses_that_can_be_waited_for() -> None:
    assert check_wait_for(("completed", "interrupted")) == ("completed", "interrupted")
    assert check_wait_for("error") == ("error",)
    plain = check_wait_for([RunStatus.COMPLETED])
    assert (plain, type(plain[0])) == (("completed",), str)
    assert check_wait_for((), may_be_empty=True) == ()


@pytest.mark.parametrize(
    ("wait_for", "said"),
    [
        (("completed", "running"), "wait_for takes completed, interrupted, error; not 'running'"),
        ("done", "not 'done'"),
        (("Completed", None), "not 'Completed', None"),
        ((), "wait_for is empty"),
        ([], "wait_for is empty"),
        ("", "not ''"),
    ],
)
def test_another_wait_is_refused(wait_for: Any, said: str) -> None:
    with pytest.raises(AgentRunsValueError, match=said):
        check_wait_for(wait_for)


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
def test_what_airflow_would_take_for_something_else_is_not_handed_on(value: Any, said: str) -> None:
    with pytest.raises(AgentRunSerializationError, match=f"output of agent run r-1.more{said}"):
        xcom_value(run("completed", output={"artifacts": [], "more": value}), None)
    with pytest.raises(AgentRunSerializationError, match=rf"interrupts\[0\]\.value of agent run r-1{said}"):
        run_summary(run("interrupted", interrupts=[{"id": "i-1", "value": value}]))


def test_what_looks_like_it_is_handed_on() -> None:
    more = [{"__type": 1}, {"__var": 2}, {"type": "__classname__"}, 2**64 - 1, -(2**63), 1e300, True, None]
    output = {"artifacts": [], "more": more}
    assert xcom_value(run("completed", output=output), None) == output
