# SPDX-License-Identifier: Apache-2.0
"""The form as Airflow has it: its fields as ``Param``, and whether Airflow really shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ParamValidationError
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict

from airflow_provider_agentruns.airflow_adapter.required_action import create_form
from airflow_provider_agentruns.base import state_store
from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.exceptions import AgentRunReviewError
from airflow_provider_agentruns.reviews.form import (
    ID_FIELD,
    QUESTION_FIELD,
    RATING,
    RATING_COMMENT,
    answer_schema,
    form_fields,
    rated_artifact,
)
from airflow_provider_agentruns.reviews.state import START_NEW_RUN
from airflow_provider_agentruns.reviews.text import plain

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_agentruns.models import Interrupt
    from airflow_provider_agentruns.operators.review import AgentRunReviewOperator


def form_params(
    interrupt: Interrupt,
    options: Sequence[str],
    given: ParamsDict,
    rated: dict[str, Any] | None,
    question: str | None = None,
) -> ParamsDict:
    """
    Return the fields of an interrupt's form.

    :param given: The DAG author's, which win over the agent's.
    :param rated: The artifact that can be rated.
    :param question: The digest of what is asked, which an answer has to repeat; None where that is kept elsewhere.
    """
    fields = {name: Param(**field) for name, field in form_fields(answer_schema(interrupt), options).items()}
    fields |= {name: given.get_param(name) for name in given}
    if rated:
        fields[RATING] = Param(
            None,
            f"How good is {plain(str(rated.get('title') or 'the artifact'), 200)}?",
            type=["string", "null"],
            enum=["POSITIVE", "NEGATIVE", None],
            values_display={"POSITIVE": "Good", "NEGATIVE": "Bad", "null": "No rating"},
            title="Rating",
        )
        fields[RATING_COMMENT] = Param(
            None, type=["string", "null"], maxLength=5000, format="multiline", title="Why this rating"
        )
    # Last, and nobody's to change: they tell an answer to this form from one to another.
    fields[ID_FIELD] = _constant(interrupt.id, "Question")
    if question:
        fields[QUESTION_FIELD] = _constant(question, "Digest of the question")
    return ParamsDict(fields)


def set_fields(review: AgentRunReviewOperator, context: Context, interrupt: Interrupt) -> str | None:
    """Give a review's form its fields, and return the id of the artifact that can be rated."""
    rated = rated_artifact(interrupt) if review.feedback else None
    question = digest(interrupt.value) if state_store(context) is None else None
    review.params = form_params(interrupt, review.options, review.params, rated, question)
    return rated["id"] if rated else None


def _constant(value: str, title: str) -> Param:
    return Param(value, "Which question this form answers. Leave it as it is.", type="string", const=value, title=title)


def validation_errors(
    params: ParamsDict, options: Sequence[str], chosen: Sequence[str], given: Mapping[str, Any]
) -> list[str]:
    """
    Return what does not fit a form, as Airflow checks it; without what was filled in, which may be personal data.

    :param chosen: The chosen options.
    :param given: All fields.
    """
    wrong = [] if set(chosen) <= set(options) else ["an option that is not on the form"]
    wrong += [f"a field {name!r} that is not on the form" for name in sorted(given.keys() - params.keys())]
    for name in params:
        try:
            params.get_param(name).resolve(given[name])
        except ParamValidationError as e:
            cause: Any = e.args[0] if e.args else None
            rule = f"{cause.validator} {cause.validator_value!r}" if hasattr(cause, "validator") else "it is missing"
            wrong.append(f"field {name!r}: {rule}")
    return wrong


def show(review: AgentRunReviewOperator, context: Context) -> None:
    """
    Show a review's form, and see that it is this one that Airflow holds.

    A task instance that had a form before keeps the old one, whatever is sent; only what Airflow answers tells.
    ``HITLOperator`` sends the same once more, and does not look.

    :raises AgentRunReviewError: If Airflow holds another form.
    """
    subject, body, values = create_form(
        context["ti"].id,
        options=review.options,
        subject=review.subject,
        body=review.body,
        defaults=review.defaults,
        multiple=review.multiple,
        params=review.serialized_params,
        assigned_users=review.assigned_users or [],
    )
    constants = {name: review.params.get(name) for name in (ID_FIELD, QUESTION_FIELD)}
    if (subject, body) != (review.subject, review.body) or any(
        values.get(name) != constant for name, constant in constants.items()
    ):
        raise AgentRunReviewError(
            "Airflow keeps a task instance's form for ever, and this one has the form of another question than "
            f"interrupt {review.params[ID_FIELD]!r} of agent run {review.run_id}. {START_NEW_RUN}"
        )
