# SPDX-License-Identifier: Apache-2.0
"""What follows a decision: it is checked, made an answer, sent exactly once, and told of."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.base import state_store
from airflow_provider_agentruns.exceptions import AgentRunReviewError, AgentRunsError
from airflow_provider_agentruns.operators import review_form
from airflow_provider_agentruns.operators.answering import answer_interrupt
from airflow_provider_agentruns.reviews import trail
from airflow_provider_agentruns.reviews.decision import Decision, default_answer, material_for_answer
from airflow_provider_agentruns.reviews.form import QUESTION_FIELD, RATING, RATING_COMMENT

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_agentruns.models import Interrupt
    from airflow_provider_agentruns.operators.review import AgentRunReviewOperator
    from airflow_provider_agentruns.reviews.state import ReviewState


def submit(review: AgentRunReviewOperator, context: Context, note: ReviewState) -> dict[str, Any]:
    """
    Send the answer to what was decided, and return what the tasks behind the review get.

    :param note: With the decision; it is kept with the answer before that is sent.
    """
    decision = Decision.from_json(note.decision or {})
    if note.sent is None:
        decision.check_echo(note.run_id, note.interrupt_id, note.question)
        interrupt = review.pending(note.question)
        note.check_still_asked(interrupt)
        decision = _checked(review, context, interrupt, decision)
        note.decision, note.sent = decision.as_json(), [_answer(review, context, interrupt, decision)]
        note.keep(state_store(context))
    answered = answer_interrupt(review, context, note.run_id, note.interrupt_id, note.sent[0], note.question)
    metrics.review_decided(review.agentruns_conn_id, decision.by, _seconds(note, decision))
    rating = _rate(review, note, decision)
    context["ti"].xcom_push(key=trail.TRAIL, value=trail.whole(note, decision, answered, rating))
    review.log.info("Agent run interrupt reviewed", **trail.for_log(note, decision, answered))
    return trail.outcome(note, decision, answered.run)


def _checked(review: AgentRunReviewOperator, context: Context, interrupt: Interrupt, decision: Decision) -> Decision:
    """Return the decision with all fields of the form that a person sees, as Airflow checks them."""
    if decision.by == "policy":
        return decision
    review_form.set_fields(review, context, interrupt)
    given = {name: review.params.get_param(name).value for name in review.params} | decision.params_input
    # In time-out, nobody has filled in what has to be: the DAG author's defaults decide without it.
    if decision.by == "person" and (
        wrong := review_form.validation_errors(review.params, review.options, decision.chosen_options, given)
    ):
        raise AgentRunReviewError(
            f"The answer to interrupt {interrupt.id!r} of agent run {review.run_id} does not fit the form: "
            f"{'; '.join(wrong)}. Nothing was sent. Clear the task to ask again"
        )
    given.pop(QUESTION_FIELD, None)
    return replace(decision, params_input=given)


def _answer(review: AgentRunReviewOperator, context: Context, interrupt: Interrupt, decision: Decision) -> Any:
    if review.build_input is None:
        return default_answer(interrupt, decision)
    material = material_for_answer(interrupt, decision)
    if callable(review.build_input):
        return review.build_input(material)
    return review.render_template(review.build_input, cast("Context", {**context, "answer": material}))


def _rate(review: AgentRunReviewOperator, note: ReviewState, decision: Decision) -> dict[str, Any] | None:
    """Rate the artifact, where the person did; the answer stands whatever becomes of that."""
    rated, rating = (note.shown or {}).get("rated_artifact"), decision.params_input.get(RATING)
    if not (rated and rating):
        return None
    comment = decision.params_input.get(RATING_COMMENT)
    given = {"artifact_id": rated, "rating": rating, "comment": comment}
    try:
        review.hook.rate_artifact(note.run_id, rated, rating, comment)
    except AgentRunsError as e:
        review.log.warning("The answer is given, but the rating could not be: %s", e)
        return {**given, "error": str(e)}
    return given


def _seconds(note: ReviewState, decision: Decision) -> float | None:
    """Return how long the form had waited for the decision; None where none was shown."""
    try:
        since, until = datetime.fromisoformat((note.shown or {})["at"]), datetime.fromisoformat(decision.responded_at)
        return max(0.0, (until - since).total_seconds())
    except (KeyError, ValueError, TypeError):
        # Of a version of ours or of Airflow that did not say, and no reason to fail: the answer is given.
        return None
