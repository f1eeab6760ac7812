# SPDX-License-Identifier: Apache-2.0
"""The form as Airflow has it: its fields as ``Param``, and whether Airflow really shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ParamValidationError
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict

from airflow_provider_agentruns.exceptions import AgentRunReviewError
from airflow_provider_agentruns.reviews.form import ID_FIELD, RATING, RATING_COMMENT, answer_schema, form_fields
from airflow_provider_agentruns.reviews.note import START_ANEW
from airflow_provider_agentruns.reviews.text import plain

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_agentruns.models import Interrupt
    from airflow_provider_agentruns.operators.review import AgentRunReviewOperator


def form_params(
    interrupt: Interrupt, options: Sequence[str], given: ParamsDict, rated: dict[str, Any] | None
) -> ParamsDict:
    """
    Return the fields of an interrupt's form.

    :param given: The DAG author's, which win over the agent's.
    :param rated: The artifact that can be rated.
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
    # Last, and nobody's to change: it tells an answer to this form from one to another.
    fields[ID_FIELD] = Param(
        interrupt.id,
        "Which question this form answers. Leave it as it is.",
        type="string",
        const=interrupt.id,
        title="Question",
    )
    return ParamsDict(fields)


def misfits(params: ParamsDict, options: Sequence[str], chosen: Sequence[str], given: Mapping[str, Any]) -> list[str]:
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
    from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    held = SUPERVISOR_COMMS.send(
        CreateHITLDetailPayload(
            ti_id=context["ti"].id,
            options=review.options,
            subject=review.subject,
            body=review.body,
            defaults=review.defaults,
            multiple=review.multiple,
            params=review.serialized_params,
            assigned_users=review.assigned_users or [],
        )
    )
    params = getattr(held, "params", None) or {}
    shown = (getattr(held, "subject", None), getattr(held, "body", None), (params.get(ID_FIELD) or {}).get("value"))
    if shown != (review.subject, review.body, review.params[ID_FIELD]):
        raise AgentRunReviewError(
            "Airflow keeps a task instance's form for ever, and this one has the form of another question than "
            f"interrupt {review.params[ID_FIELD]!r} of agent run {review.run_id}. {START_ANEW}"
        )
