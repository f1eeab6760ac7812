# SPDX-License-Identifier: Apache-2.0
"""What a review is made with, what of it is rendered, and that Airflow can store the DAG it is in."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import DAG, Param, XComArg, task

from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.operators.agent_run import AgentRunReviewOperator
from airflow_provider_agentruns.operators.review import AgentRunReviewOperator as Defined
from tests.support.airflow_names import DagSerialization

ASKED = {"id": "int-1", "agent": "some_agent", "value": {"label": "{{ 7*7 }} {% raw %} {{ run_id }}"}}


class Rule:
    """A policy that is an object."""

    def __call__(self, interrupt: Any) -> None:
        """Leave it to people."""


def rule(word: str, interrupt: Any) -> str:
    """Return the word."""
    return word


def review(**arguments: Any) -> AgentRunReviewOperator:
    """Return a review with these arguments."""
    return AgentRunReviewOperator(**{"task_id": "review", "run_id": "r-1", "interrupt": "int-1", **arguments})


def empty_dag(**arguments: Any) -> DAG:
    """Return a DAG without tasks."""
    return DAG("reviews", schedule=None, start_date=datetime(2026, 1, 1), **arguments)


def rendered(dag: DAG, given: Any) -> AgentRunReviewOperator:
    """Return the task "review" as a worker has it, whose upstream tasks returned this value."""
    ti = SimpleNamespace(map_index=0, xcom_pull=lambda **_: given, is_mapped=True)
    context: Any = {"ti": ti, "run_id": "manual", "dag": dag, "dag_run": SimpleNamespace(conf={}), "params": {}}
    context["task"] = dag.task_dict["review"]
    context["task"].render_template_fields(context)
    return context["task"]


@pytest.mark.parametrize("run_id", [None, "", "  "])
def test_a_run_id_that_is_none_is_refused(run_id: Any) -> None:
    with pytest.raises(AgentRunsValueError, match=f"run_id is {run_id!r}"):
        review(run_id=run_id)


@pytest.mark.parametrize(
    ("given", "names"), [({"subject": "a"}, "subject"), ({"body": None, "subject": ""}, "body and subject")]
)
def test_what_is_made_from_the_question_cannot_be_given(given: dict[str, Any], names: str) -> None:
    with pytest.raises(AgentRunsValueError, match=f"^{names} cannot be given: made from what the agent asks"):
        review(**given)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"options": []}, ValueError, '"options" cannot be empty'),
        ({"defaults": "Later"}, ValueError, "should be a subset of options"),
        ({"defaults": ["Approve", "Reject"]}, ValueError, "More than one defaults"),
        ({"params": {"_options": 1}}, ValueError, '"_options" is not allowed'),
        ({"question": "Right?"}, TypeError, "question"),
    ],
)
def test_a_form_that_cannot_be_is_refused_when_the_dag_is_made(
    wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        review(**wrong)


@pytest.mark.parametrize("missing", ["run_id", "interrupt"])
def test_run_and_interrupt_have_to_be_given(missing: str) -> None:
    given = {"task_id": "review", "run_id": "r-1", "interrupt": "int-1"}
    del given[missing]
    with pytest.raises((TypeError, AirflowException), match=missing):
        AgentRunReviewOperator(**given)


def test_options_may_be_any_sequence_and_become_a_list() -> None:
    assert review().options == ["Approve", "Reject"]
    options = ["Yes", "No"]
    made = review(options=options, defaults="No", multiple=True)
    options.append("Later")
    assert (made.options, made.defaults, made.multiple) == (["Yes", "No"], ["No"], True)


def test_what_belongs_to_airflows_form_is_handed_on() -> None:
    wait, people = timedelta(hours=1), [{"id": "ann", "name": "Ann"}]
    made = review(response_timeout=wait, assigned_users=people, params={"why": Param("", type="string")})
    assert (made.response_timeout, made.assigned_users) == (wait, people)
    assert made.params.get_param("why").schema == {"type": "string"}


def test_the_operator_is_one_class_wherever_it_is_imported_from() -> None:
    assert AgentRunReviewOperator is Defined


def test_subject_and_body_are_no_templates() -> None:
    assert tuple(AgentRunReviewOperator.template_fields) == ("run_id", "interrupt", "agentruns_conn_id")


@pytest.mark.parametrize("interrupt", ["int-1", {"id": "int-1"}, ASKED])
def test_an_interrupt_is_named_by_its_id_or_by_itself(interrupt: Any) -> None:
    assert review(interrupt=interrupt)._interrupt_id == "int-1"


@pytest.mark.parametrize(
    "interrupt", [None, "", "  ", {}, {"id": None}, {"id": ""}, {"id": 7}, {"interrupt_id": "int-1"}, [ASKED], 7]
)
def test_what_names_no_interrupt_is_refused_with_what_it_is(interrupt: Any) -> None:
    with pytest.raises(AgentRunsValueError, match=f"not {type(interrupt).__name__} with the id"):
        _ = review(interrupt=interrupt)._interrupt_id


def test_ids_and_the_connection_are_templates() -> None:
    with empty_dag() as dag:
        review(run_id="{{ run_id }}", interrupt="{{ 7*7 }}", agentruns_conn_id="{{ run_id }}_conn")
    made = rendered(dag, None)
    assert (made.run_id, made.interrupt, made.agentruns_conn_id) == ("manual", "49", "manual_conn")


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("mapped", [False, True])
def test_no_template_in_an_agents_text_is_rendered(mapped: bool, native: bool) -> None:
    with empty_dag(render_template_as_native_obj=native) as dag:
        asked = upstream()
        if mapped:
            AgentRunReviewOperator.partial(task_id="review", run_id="{{ run_id }}").expand(interrupt=asked)
        else:
            review(run_id="{{ run_id }}", interrupt=asked)
    made = rendered(dag, [ASKED] if mapped else ASKED)
    assert made.run_id == "manual"
    assert made.interrupt == ASKED


def test_no_template_in_an_agents_text_is_rendered_with_expand_kwargs() -> None:
    with empty_dag() as dag:
        AgentRunReviewOperator.partial(task_id="review", run_id="r-1").expand_kwargs(upstream())
    assert rendered(dag, [{"interrupt": {**ASKED, "value": "{{ 7*7 }}"}}]).interrupt["value"] == "{{ 7*7 }}"


@pytest.mark.parametrize("make", [Rule, lambda: Rule().__call__, lambda: partial(rule, "Approve"), lambda: rule])
def test_a_dag_with_reviews_can_be_stored_and_its_policies_stay(make: Callable[[], Any]) -> None:
    decide = make()
    dag = dag_with_reviews(decide)
    stored = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    back = DagSerialization.from_dict(stored)
    for task_id in ("review", "mapped"):
        assert back.get_task(task_id).task_type == "AgentRunReviewOperator"
        assert back.get_task(task_id).upstream_task_ids == {"upstream"}
        assert list(back.get_task(task_id).template_fields) == ["run_id", "interrupt", "agentruns_conn_id"]
    # A worker has them from the DAG's file, and nothing of what was stored.
    for made in (dag.task_dict["review"], dag.task_dict["mapped"].unmap({"interrupt": ASKED})):
        assert made.decide is decide
        assert made.build_input is decide
        assert (made.options, made.defaults, made.feedback) == (["Yes", "No"], ["No"], True)
    # Else each parsing of the file would make a new version of the DAG.
    assert json.loads(json.dumps(DagSerialization.to_dict(dag_with_reviews(make())))) == stored


def dag_with_reviews(decide: Any) -> DAG:
    """Return a DAG with a review and a mapped one that have all a DAG author may give."""
    more = {"decide": decide, "build_input": decide, "options": ("Yes", "No"), "defaults": "No", "feedback": True}
    with empty_dag() as dag:
        asked = upstream()
        review(interrupt=asked, params={"why": Param("", type="string")}, **more)
        AgentRunReviewOperator.partial(task_id="mapped", run_id="r-1", **more).expand(interrupt=asked)
    return dag


def upstream() -> XComArg:
    """Return the output of a task before the review."""

    @task(task_id="upstream")
    def asked() -> list[Any]:
        return []

    return asked()
