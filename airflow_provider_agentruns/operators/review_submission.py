# SPDX-License-Identifier: Apache-2.0
"""Sends the decision of a review: validates it, answers the interrupt, and publishes the audit trail."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.definitions.param import ParamsDict

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.audit.trail import RESULT, TRAIL, audit_trail, for_log, open_folder, write_document
from airflow_provider_agentruns.base import AgentRunTask, state_store
from airflow_provider_agentruns.exceptions import (
    AgentRunInterruptGoneError,
    AgentRunInvalidRequestError,
    AgentRunsError,
    AgentRunsValueError,
)
from airflow_provider_agentruns.operators.review_form import build_form, validated
from airflow_provider_agentruns.reviews.answer_schema import RATING, RATING_COMMENT, AnswerSchema, rated_artifact
from airflow_provider_agentruns.reviews.decision import answer_material
from airflow_provider_agentruns.reviews.state import ReviewState

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_agentruns.idempotency.resume_run import Answered
    from airflow_provider_agentruns.models import AgentRun, Interrupt

_STATE_KEY = "agent_run_review"


class ReviewSubmission(AgentRunTask, HITLOperator):
    run_id: Any
    interrupt: Any
    build_input: Callable[[dict[str, Any]], Any] | str | dict[str, Any] | list[Any] | None
    feedback: bool
    form_fields: ParamsDict

    @cached_property
    def _audit_folder(self) -> ObjectStoragePath | None:
        folder = self.hook.settings.audit_path
        return open_folder(folder, create=True) if folder else None

    def _submit(self, context: Context, review: ReviewState) -> dict[str, Any]:
        try:
            answered = self._answer(context, review)
        except BaseException as e:
            self._finish(context, review, self._delivery(context, review, e))
            raise
        review.delivered = True
        review.seen = answered.run.updated_at.isoformat() if answered.run.updated_at else None
        self._store(context, review)
        self.record(answered.run)
        metrics.count("reviews.decided", self.agentruns_conn_id, by=review.decided.by)
        if review.seconds_to_decide is not None:
            metrics.timing("review.duration", review.seconds_to_decide, self.agentruns_conn_id, by=review.decided.by)
        trail = self._finish(context, review, answered.delivery, self._rate(review))
        if self._audit_folder:
            write_document(self._audit_folder, trail, context["ti"])
        return {key: trail[key] for key in RESULT}

    def _finish(
        self, context: Context, review: ReviewState, delivery: str, rating: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        if delivery in ("not sent", "unknown"):
            metrics.count("reviews.undelivered", self.agentruns_conn_id, delivery=delivery)
        trail = audit_trail(review, status=self._last_status, delivery=delivery, rating=rating)
        context["ti"].xcom_push(key=TRAIL, value=trail)
        self.log.info("Agent run interrupt reviewed", **for_log(trail))
        return trail

    def _delivery(self, context: Context, review: ReviewState, error: BaseException) -> str:
        """Return ``unknown`` if the answer may have been sent when the task fails, or ``not sent``."""
        from airflow_provider_agentruns.idempotency.resume_run import may_have_been_sent

        store = state_store(context)
        is_killed = store is None and not isinstance(error, Exception)
        is_gone_later = isinstance(error, AgentRunInterruptGoneError) and self.current_attempt(context).number > 1
        may_be_sent = getattr(error, "in_doubt", False) or may_have_been_sent(store, review.run_id, review.interrupt_id)
        return "unknown" if may_be_sent or is_killed or is_gone_later else "not sent"

    def _answer(self, context: Context, review: ReviewState) -> Answered:
        # An unusable folder fails the task before anything is sent.
        _ = self._audit_folder
        if review.sent is None:
            review.check_answer()
            _, interrupt = self._pending(review)
            if review.decided.by != "policy":
                review.decision = validated(review.decided, review.form or self._form(interrupt), review.name)
            review.sent = [self._input(context, interrupt, answer_material(interrupt, review.decided))]
            self._store(context, review)
        try:
            return self.answer_interrupt(
                context, review.run_id, review.interrupt_id, review.sent[0], question=review.question, seen=review.seen
            )
        except AgentRunInvalidRequestError as e:
            # A later try builds the answer again, because the DAG may have changed.
            review.sent = None
            self._store(context, review)
            if not any(review.decided.fields.values()):
                raise
            hidden = "the agent rejects the answer. Its message is hidden, because it can repeat what a person entered"
            raise AgentRunInvalidRequestError(e.status_code, [hidden], e.method, e.path) from None

    def _input(self, context: Context, interrupt: Interrupt, material: dict[str, Any]) -> Any:
        if self.build_input is None:
            return AnswerSchema(interrupt).default_answer(material)
        if callable(self.build_input):
            return self.build_input(material)
        return self.render_template(self.build_input, cast("Context", {**context, "answer": material}))

    def _rate(self, review: ReviewState) -> dict[str, Any] | None:
        """Send the rating that a person gave. A failure does not fail the task."""
        entered = review.decided.params_input
        artifact_id, rating = (review.shown or {}).get("rated_artifact"), entered.get(RATING)
        if not artifact_id or not rating:
            return None
        given = {"artifact_id": artifact_id, "rating": rating, "comment": entered.get(RATING_COMMENT)}
        try:
            self.hook.rate_artifact(review.run_id, **given)
        except AgentRunsError as e:
            # Without the message, in which the service can repeat the comment.
            self.log.warning("The answer was sent, but not the rating of the artifact: %s", type(e).__name__)
            return {**given, "error": str(e)}
        return given

    @property
    def _interrupt_id(self) -> str:
        found = self.interrupt.get("id") if isinstance(self.interrupt, Mapping) else self.interrupt
        if isinstance(found, str) and found.strip():
            return found
        raise AgentRunsValueError(
            "interrupt needs the ID of an interrupt, or an interrupt as AgentRunSensor returns it. This "
            f"{type(self.interrupt).__name__} has no ID"
        )

    def _pending(self, review: ReviewState | None) -> tuple[AgentRun, Interrupt]:
        """Return the run and its pending interrupt, which must still ask the review's question."""
        from airflow_provider_agentruns.idempotency.resume_run import InterruptReader

        run_id, interrupt_id = str(self.run_id), self._interrupt_id
        question, seen = (review.question, review.seen) if review else (None, None)
        reader = InterruptReader(
            lambda: cast("AgentRun", self.read_run(run_id)), interrupt_id, time.sleep, question, seen
        )
        run, interrupt = reader.find("open")
        if interrupt is None:
            why = "another client, or this task before it was cleared, may have answered it"
            raise AgentRunInterruptGoneError.of(run_id, interrupt_id, run, why)
        if review:
            review.check_question(interrupt)
        return run, interrupt

    def _stored(self, context: Context) -> ReviewState | None:
        store = state_store(context)
        return ReviewState.restore(store.get(_STATE_KEY) if store else None, str(self.run_id), self._interrupt_id)

    def _store(self, context: Context, review: ReviewState) -> None:
        if store := state_store(context):
            store.set(_STATE_KEY, asdict(review))

    def _rated(self, interrupt: Interrupt) -> dict[str, Any] | None:
        return rated_artifact(interrupt) if self.feedback else None

    def _form(self, interrupt: Interrupt) -> dict[str, Any]:
        return build_form(self, interrupt, self.form_fields, self._rated(interrupt))
