# SPDX-License-Identifier: Apache-2.0
"""A review shows one question, answers it exactly once, and never answers another one."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from airflow.sdk import DAG, Param
from airflow.sdk.definitions.param import ParamsDict, process_params

from airflow_provider_agentruns.exceptions import (
    AgentRunInterruptGoneError,
    AgentRunInvalidRequestError,
    AgentRunReviewError,
    AgentRunsValueError,
)
from airflow_provider_agentruns.operators.agent_run import AgentRunReviewOperator, review_rounds
from tests.operators.reviewing import (
    ANN,
    QUESTION,
    Service,
    Supervisor,
    TaskInstance,
    constants,
    event,
    review,
    run_again,
)
from tests.support.airflow_names import DagSerialization
from tests.support.airflow_versions import HAS_STATE_STORE, needs_state_store
from tests.support.scripted_server import errors

if HAS_STATE_STORE:
    from airflow.sdk.exceptions import TaskAwaitingInput
else:
    TaskAwaitingInput = TaskDeferred

SECRET = "\x1b[31mjane@example.com\nFAKE LOG LINE"


def ask(ti: TaskInstance, **arguments: Any) -> AgentRunReviewOperator:
    task = review(**arguments)
    with pytest.raises((TaskAwaitingInput, TaskDeferred)) as waiting:
        task.execute(ti.context)
    assert waiting.value.method_name == "execute_complete"
    # Airflow calls the method with what waits with the task. Before 3.3, this is all that a later call knows.
    task.execute_complete = partial(task.execute_complete, **(waiting.value.kwargs or {}))  # type: ignore[method-assign]
    return task


def test_a_person_is_asked_and_the_answer_is_sent(service: Service, supervisor: Supervisor, ti: TaskInstance) -> None:
    task = ask(ti, params={"why": Param("", type="string")}, assigned_users=[ANN])
    form = supervisor.form
    assert form is not None
    assert (form.subject, form.options) == ("Right?", ["Approve", "Reject"])
    assert "Report" in (form.body or "")
    assert list(form.params or {}) == ["why", "interrupt_id", "_question"]
    assert (form.params or {})["interrupt_id"]["schema"]["const"] == "int-1"
    assert [user.id for user in form.assigned_users or ()] == ["ann"]
    assert service.answers == []

    result = task.execute_complete(ti.context, event("Approve", why="Fits"))
    [(interrupt_id, sent)] = service.answers
    assert (interrupt_id, sent["decision"], sent["fields"]) == ("int-1", "approve", {"why": "Fits"})
    assert (result["interrupt_id"], result["status"], result["responded_by"]) == ("int-1", "running", ANN)
    assert result["params_input"] == {"why": "Fits", "interrupt_id": "int-1"}
    trail = ti.xcoms["trail"]
    assert (trail["by"], trail["sent"], trail["delivery"]) == ("person", sent, "confirmed")
    assert (trail["shown"]["body"], trail["shown"]["fields"]) == (form.body, list(form.params or {}))


@pytest.mark.parametrize(
    ("build_input", "sent"),
    [
        (lambda material: [material["decision"], material["fields"]], ["approve", {"why": "{{ 7*7 }}"}]),
        ({"ok": "{{ answer.decision }}", "why": "{{ answer.fields.why }}"}, {"ok": "approve", "why": "{{ 7*7 }}"}),
    ],
)
def test_the_dag_author_can_build_the_answer(service: Service, ti: TaskInstance, build_input: Any, sent: Any) -> None:
    task = ask(ti, build_input=build_input, params={"why": Param("", type="string")})
    task.execute_complete(ti.context, event("Approve", why="{{ 7*7 }}"))
    assert service.answers == [("int-1", sent)]


def test_a_policy_decides_without_a_form(service: Service, ti: TaskInstance) -> None:
    result = review(decide=lambda interrupt: "Reject" if interrupt.value == QUESTION else None).execute(ti.context)
    assert (result["chosen_options"], result["responded_by"]["id"]) == (["Reject"], "policy")
    assert [sent["decision"] for _, sent in service.answers] == ["reject"]
    service.pending = {"int-2": QUESTION}
    review(interrupt={"id": "int-2"}, decide=lambda interrupt: {"as": "is"}).execute(TaskInstance().context)
    assert service.answers[1] == ("int-2", {"as": "is"})


@pytest.mark.parametrize("reject", [None, errors(422, f"comment {SECRET} is too long")])
def test_a_rating_is_no_part_of_the_answer_and_does_not_affect_it(
    service: Service, ti: TaskInstance, capsys: pytest.CaptureFixture[str], reject: Any
) -> None:
    service.reject_rating = reject
    task = ask(ti, feedback=True)
    task.execute_complete(ti.context, event("Approve", _rating="NEGATIVE", _rating_comment=SECRET))
    assert service.answers[0][1]["fields"] == {}
    assert service.ratings[0]["comment"] == SECRET
    rating = ti.xcoms["trail"]["rating"]
    assert (rating["rating"], "422" in rating.get("error", "")) == ("NEGATIVE", reject is not None)
    log = capsys.readouterr().out
    assert ("not the rating of the artifact: AgentRunInvalidRequestError" in log) is (reject is not None)
    assert "jane" not in log


def test_what_the_service_rejects_does_not_reach_errors_and_logs(
    service: Service, supervisor: Supervisor, ti: TaskInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    task = ask(ti, params={"why": Param("", type="string")})
    service.reject = errors(422, f"input: {SECRET!r} does not match '^a$'")
    with pytest.raises(AgentRunInvalidRequestError, match="422: the agent rejects the answer") as e:
        task.execute_complete(ti.context, event("Approve", why=SECRET))
    assert "jane" not in str(e.value) + capsys.readouterr().out
    # Nobody entered anything here, so the message helps.
    other, supervisor.form = TaskInstance(), None
    with pytest.raises(AgentRunInvalidRequestError, match="does not match"):
        ask(other).execute_complete(other.context, event("Approve"))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (event("Maybe " + SECRET), "an option that is not on the form"),
        (event("Approve", **{SECRET: SECRET}), "a field that is not on the form"),
        (event("Approve", size=SECRET, why=""), "field 'size' (type: 'integer')"),
        (event("Approve", size=3, why=SECRET), "field 'why' (maxLength: 5)"),
        (event("Approve", interrupt_id=SECRET), "The answer is not for the current question of interrupt 'int-1'"),
        ({"error": SECRET, "error_type": "validation"}, "Airflow rejects it"),
    ],
)
def test_an_invalid_answer_is_rejected_and_not_repeated(
    service: Service, ti: TaskInstance, capsys: pytest.CaptureFixture[str], given: dict[str, Any], reason: str
) -> None:
    task = ask(ti, params={"size": Param(3, type="integer"), "why": Param("", type="string", maxLength=5)})
    with pytest.raises(AgentRunReviewError) as e:
        task.execute_complete(ti.context, given)
    assert reason in str(e.value)
    assert "Nothing was sent" in str(e.value)
    assert service.answers == []
    for text in (str(e.value), capsys.readouterr().out):
        assert "jane" not in text
        assert "\x1b" not in text


def test_after_a_timeout_the_defaults_decide_without_the_required_fields(service: Service, ti: TaskInstance) -> None:
    task = ask(ti, defaults="Reject", response_timeout=timedelta(hours=1), params={"why": Param(type="string")})
    task.execute_complete(ti.context, {**event("Reject"), "timedout": True, "responded_by_user": None})
    assert service.answers[0][1]["decision"] == "reject"
    assert ti.xcoms["trail"]["by"] == "timeout"


def test_after_a_timeout_without_defaults_no_retry_waits_again(service: Service, ti: TaskInstance) -> None:
    task = ask(ti, response_timeout=timedelta(hours=1))
    with pytest.raises(AgentRunReviewError, match=r"Nobody answered .* 'int-1' .* response_timeout of 1:00:00") as e:
        task.execute_complete(ti.context, {"error": "timeout", "error_type": "timeout"})
    assert isinstance(e.value, AirflowFailException)
    assert "trail" not in ti.xcoms


def test_a_reused_id_is_not_answered(service: Service, ti: TaskInstance) -> None:
    task = ask(ti)
    service.pending = {"int-1": {"label": "Delete everything?"}}
    with pytest.raises((AgentRunReviewError, AgentRunInterruptGoneError), match="has changed since"):
        task.execute_complete(ti.context, event("Approve"))
    assert service.answers == []
    # Without a state store, the digest in the form shows it.
    other = TaskInstance(has_store=False)
    with pytest.raises(AgentRunReviewError, match="has changed since this task showed it"):
        review().execute_complete(other.context, event("Approve", _question="0" * 64))
    assert service.answers == []


def test_an_interrupt_that_is_answered_elsewhere_is_not_answered_again(service: Service, ti: TaskInstance) -> None:
    task = ask(ti)
    service.pending = {}
    with pytest.raises(AgentRunInterruptGoneError, match=r"'int-1' of agent run r-1 is not pending.*sent nothing"):
        task.execute_complete(ti.context, event("Approve"))


@needs_state_store
def test_an_older_form_in_airflow_is_noticed(service: Service, ti: TaskInstance) -> None:
    ask(ti)
    service.pending = {"int-2": QUESTION}
    # After a clear, Airflow would show the first form.
    ti.max_tries += 2
    with pytest.raises(AgentRunReviewError, match="cannot show interrupt 'int-2'"):
        review(interrupt="int-2").execute(ti.context)
    ti.store = None
    with pytest.raises(AgentRunReviewError, match="'int-2' of agent run r-1 differs from the DAG in: params"):
        review(interrupt="int-2").execute(ti.context)


def retry(ti: TaskInstance, task: AgentRunReviewOperator, found: dict[str, Any]) -> Any:
    """Execute the next try, for which the triggerer finds this."""
    ti.try_number += 1
    return run_again(ti, task, found)


@pytest.mark.parametrize("has_store", [pytest.param(True, marks=needs_state_store), False])
def test_a_retry_uses_an_answer_that_a_worker_died_with(
    service: Service, supervisor: Supervisor, has_store: bool
) -> None:
    ti = TaskInstance(has_store=has_store)
    task = ask(ti)
    result = retry(ti, task, event("Reject", **constants(supervisor)))
    assert result["chosen_options"] == ["Reject"]
    assert result["params_input"] == {"interrupt_id": "int-1"}
    assert [sent["decision"] for _, sent in service.answers] == ["reject"]


@needs_state_store
def test_a_retry_without_an_answer_keeps_the_form(service: Service, supervisor: Supervisor, ti: TaskInstance) -> None:
    task = ask(ti)
    form, supervisor.form = supervisor.form, None
    with pytest.raises(TaskAwaitingInput):
        retry(ti, task, {"form": True})
    assert supervisor.form is None
    # If the worker died before the form existed, it is created.
    with pytest.raises(TaskAwaitingInput):
        retry(ti, task, {"form": False})
    assert supervisor.form == form


@needs_state_store
def test_a_retry_after_the_answer_does_not_send_it_again(
    service: Service, ti: TaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ask(ti)
    with monkeypatch.context() as broken:
        broken.setattr(ti, "xcom_push", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            task.execute_complete(ti.context, event("Approve"))
    ti.try_number += 1
    assert review().execute(ti.context)["chosen_options"] == ["Approve"]
    assert len(service.answers) == 1
    assert ti.xcoms["trail"]["delivery"] == "presumed"
    # Nor does it after a person cleared the task.
    ti.max_tries += 3
    assert review().execute(ti.context)["chosen_options"] == ["Approve"]
    assert len(service.answers) == 1


def test_hostile_text_reaches_no_log(service: Service, ti: TaskInstance, capsys: pytest.CaptureFixture[str]) -> None:
    service.pending = {"int-1": {"label": SECRET * 100_000, "agent": SECRET * 1_000}}
    ask(ti).execute_complete(ti.context, event("Approve"))
    log = capsys.readouterr().out
    assert "Agent run interrupt reviewed" in log
    assert "jane" not in log
    assert "\x1b" not in log
    assert len(log) < 20_000
    assert len(json.dumps(ti.xcoms["trail"])) < 40_000


def test_a_form_says_how_many_fields_it_lacks(service: Service, supervisor: Supervisor, ti: TaskInstance) -> None:
    properties = {f"p{number}": {"type": "string"} for number in range(53)}
    service.pending = {"int-1": {"label": "Right?", "input_schema": {"properties": properties}}}
    ask(ti)
    assert supervisor.form
    assert "The form lacks 3 of the answer's fields" in (supervisor.form.body or "")


@pytest.mark.parametrize("interrupt", [None, "  ", {"id": 7}])
def test_what_has_no_id_is_rejected(service: Service, ti: TaskInstance, interrupt: Any) -> None:
    with pytest.raises(AgentRunsValueError, match="interrupt needs the ID of an interrupt"):
        review(interrupt=interrupt).execute(ti.context)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"run_id": "  "}, AgentRunsValueError, "run_id"),
        ({"subject": "Right?"}, TypeError, "multiple values for keyword argument 'subject'"),
        ({"options": []}, ValueError, "options"),
        ({"defaults": "Later"}, ValueError, "should be a subset of options"),
        ({"response_timeout": 60}, AgentRunsValueError, r"response_timeout should be a timedelta .* not 60"),
        ({"assigned_users": ["ann"]}, AgentRunsValueError, r'assigned_users should be a list .*"id": "7".*\'ann\''),
        ({"assigned_users": {"id": 7, "name": "Ann"}}, AgentRunsValueError, "as text"),
    ],
)
def test_wrong_arguments_are_rejected_when_the_dag_is_parsed(
    wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        review(**wrong)
    # A mapped review, too, although Airflow creates its instances only when the agent asks.
    if wrong.keys() <= {"options", "defaults", "response_timeout", "assigned_users"}:
        with DAG("reviews", schedule=None), pytest.raises(error, match=message):
            review_rounds("reviewed", "r-1", **wrong)


def test_reviews_have_retries_unless_the_author_sets_a_number() -> None:
    for defaults, tries in (({}, 3), ({"retries": 0}, 0), ({"retries": 5}, 5)):
        with DAG("reviews", schedule=None, default_args=defaults) as dag:
            AgentRunReviewOperator(task_id="one", run_id="r-1", interrupt="i")
            AgentRunReviewOperator.partial(task_id="many", run_id="r-1").expand(interrupt=["i"])
        assert dag.task_dict["one"].retries == tries
        # Before Airflow 3.3, an operator's own default does not count for mapped tasks.
        assert dag.task_dict["many"].retries == (tries if HAS_STATE_STORE else defaults.get("retries", 0))


FIELDS = {"why": Param(type="string", minLength=3), "note": Param(None, type=["null", "string"])}


@pytest.mark.parametrize("is_mapped", [False, True])
def test_fields_without_a_default_do_not_stop_the_worker(
    service: Service, supervisor: Supervisor, ti: TaskInstance, is_mapped: bool
) -> None:
    # The DAG's params do not belong on the form. Airflow 3.1 copies them into each task.
    with DAG("reviews", schedule=None, params={"run": Param(type="string"), "of": 3}) as dag:
        if is_mapped:
            many = AgentRunReviewOperator.partial(task_id="review", run_id="r-1", params=FIELDS)
            many.expand(interrupt=["int-1"])
        else:
            review(params=FIELDS)
    DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    found: Any = dag.task_dict["review"]
    # Airflow validates params before the task starts.
    assert not process_params(dag, found, {"run": "r-1"}, suppress_exception=False).keys() & FIELDS.keys()
    task = found.unmap({"interrupt": "int-1"}) if is_mapped else found
    with pytest.raises((TaskAwaitingInput, TaskDeferred)) as waiting:
        task.execute(ti.context)
    assert supervisor.form
    shown = json.loads(supervisor.form.model_dump_json())["params"]
    assert list(shown) == ["why", "note", "interrupt_id", "_question"]
    assert (shown["why"]["value"], shown["why"]["schema"]) == (None, {"type": "string", "minLength": 3})
    with pytest.raises(AgentRunReviewError, match="field 'why'"):
        review(params=FIELDS).execute_complete(ti.context, event("Approve"), **(waiting.value.kwargs or {}))
    review(params=FIELDS).execute_complete(ti.context, event("Approve", why="Fits"), **(waiting.value.kwargs or {}))
    assert service.answers[0][1]["fields"] == {"why": "Fits", "note": None}


@pytest.mark.skipif(not hasattr(ParamsDict, "filter_params_by_source"), reason="Airflow 3.1 mixes both kinds of params")
def test_a_field_can_equal_a_param_of_the_dag(service: Service, supervisor: Supervisor, ti: TaskInstance) -> None:
    with DAG("reviews", schedule=None, params={"why": Param("", type="string")}):
        task = review(params={"why": Param("", type="string")})
    with pytest.raises((TaskAwaitingInput, TaskDeferred)):
        task.execute(ti.context)
    assert supervisor.form
    assert list(supervisor.form.params or {}) == ["why", "interrupt_id", "_question"]
