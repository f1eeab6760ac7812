# SPDX-License-Identifier: Apache-2.0
"""The form of a review as Airflow stores it: its arguments, its fields as ``Param`` objects, and its validation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ParamValidationError
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict

from airflow_provider_agentruns.exceptions import AgentRunReviewError, AgentRunsValueError
from airflow_provider_agentruns.reviews import answer_schema
from airflow_provider_agentruns.reviews.decision import Decision
from airflow_provider_agentruns.reviews.text import plain
from airflow_provider_agentruns.text import digest

if TYPE_CHECKING:
    from airflow.providers.standard.operators.hitl import HITLOperator
    from airflow.sdk import DAG

    from airflow_provider_agentruns.models import Interrupt

_TEXT_LENGTH = 200


def check_form(options: Sequence[str], defaults: Any, users: Any, timeout: Any) -> None:
    """Raise ``AgentRunsValueError`` for arguments that Airflow would reject only when the agent asks."""
    defaults = [defaults] if isinstance(defaults, str) else defaults or ()
    users = [users] if isinstance(users, Mapping) else users or ()
    if isinstance(options, str) or not options:
        raise AgentRunsValueError(f'options should be a list of texts such as ["Approve", "Reject"], not {options!r}')
    if not set(defaults) <= set(options):
        raise AgentRunsValueError(f"defaults should be a subset of options {list(options)!r}, not {defaults!r}")
    if isinstance(users, str) or not isinstance(users, Sequence) or not all(map(_is_user, users)):
        raise AgentRunsValueError(
            'assigned_users should be a list of users such as [{"id": "7", "name": "jane"}], with the user IDs of the '
            f"auth manager as text, not {users!r}"
        )
    if not isinstance(timeout, timedelta | None):
        raise AgentRunsValueError(f"response_timeout should be a timedelta such as timedelta(days=3), not {timeout!r}")


def _is_user(user: Any) -> bool:
    return isinstance(user, Mapping) and all(isinstance(user.get(key), str) for key in ("id", "name"))


def own_params(params: ParamsDict, dag: DAG | None) -> ParamsDict:
    """Return the params of a task without those of its DAG, which Airflow 3.1 copies into each task."""

    def declared(param: Param) -> list[Any]:
        # The copy of Airflow's marker for a missing default is another object.
        value = None if isinstance(param.value, type(Param().value)) else param.value
        return [value, param.description, param.schema]

    if hasattr(ParamsDict, "filter_params_by_source"):
        # Later versions remember the source of a param, and HITLOperator keeps those of the task.
        return params
    given = {name: params.get_param(name) for name in params}
    of_dag = {name: declared(dag.params.get_param(name)) for name in dag.params} if dag else {}
    return ParamsDict({name: param for name, param in given.items() if of_dag.get(name) != declared(param)})


def build_form(
    task: HITLOperator, interrupt: Interrupt, given: ParamsDict, rated: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Set the fields of a task's form, and return the form, except subject and body, as Airflow stores it."""
    described = answer_schema.AnswerSchema(interrupt).fields(task.options)
    fields = {name: Param(**arguments) for name, arguments in described.items()}
    # The DAG author's fields replace the agent's.
    for name in given:
        fields[name] = field = copy(given.get_param(name))
        # Airflow's API cannot send a missing value.
        field.value = field.value if field.has_value else None
    if rated:
        title = plain(rated.get("title"), _TEXT_LENGTH) or "the proposal"
        fields[answer_schema.RATING] = Param(
            None,
            f"How good is {title}? The rating is not part of the answer.",
            type=["string", "null"],
            enum=["POSITIVE", "NEGATIVE", None],
            values_display={"POSITIVE": "Good", "NEGATIVE": "Bad", "null": "No rating"},
            title="Rating",
        )
        fields[answer_schema.RATING_COMMENT] = Param(
            None, type=["string", "null"], maxLength=5000, format="multiline", title="Reason for the rating"
        )
    # Last, so that nothing replaces them: they show whether an answer belongs to this form.
    for name, value, title in (
        (answer_schema.ID_FIELD, interrupt.id, "Question ID"),
        (answer_schema.QUESTION_FIELD, digest(interrupt.value), "Digest of the question"),
    ):
        description = "Identifies the question that this form answers. Do not change it."
        fields[name] = Param(value, description, type="string", const=value, title=title)
    task.params = ParamsDict(fields)
    form = {
        "options": task.options,
        "params": task.serialized_params,
        "defaults": task.defaults,
        "multiple": task.multiple,
        "assigned_users": [{"id": user["id"], "name": user["name"]} for user in task.assigned_users or ()],
    }
    as_json: dict[str, Any] = json.loads(json.dumps(form))
    return as_json


def validated(decision: Decision, form: Mapping[str, Any], shown: str) -> Decision:
    """Return the decision with all fields. Raise ``AgentRunReviewError`` if a person's answer does not fit the form."""
    fields = {name: Param(field["value"], schema=field["schema"]) for name, field in form["params"].items()}
    entered = {name: field.value for name, field in fields.items()} | decision.params_input
    # After a timeout, the DAG author's defaults decide, although the required fields are empty.
    if decision.by == "person":
        errors = [] if set(decision.chosen_options) <= set(form["options"]) else ["an option that is not on the form"]
        errors += ["a field that is not on the form"] if entered.keys() - fields.keys() else []
        if errors := [*errors, *_field_errors(fields, entered)]:
            raise invalid_answer(shown, "; ".join(errors))
    entered.pop(answer_schema.QUESTION_FIELD, None)
    return replace(decision, params_input=entered)


def invalid_answer(shown: str, reason: str) -> AgentRunReviewError:
    return AgentRunReviewError(
        f"The answer to {shown} does not fit the form: {reason}. Nothing was sent. Clear the task to ask again"
    )


def _field_errors(fields: Mapping[str, Param], entered: Mapping[str, Any]) -> Iterator[str]:
    """Yield which fields are wrong, without what was entered, which can be personal data."""
    for name, field in fields.items():
        try:
            field.resolve(entered[name])
        except ParamValidationError as e:
            cause: Any = e.args[0] if e.args else None
            rule = f"{cause.validator}: {cause.validator_value!r}" if hasattr(cause, "validator") else "required"
            yield f"field {name!r} ({plain(rule, _TEXT_LENGTH)})"
