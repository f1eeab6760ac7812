# SPDX-License-Identifier: Apache-2.0
"""The operator that asks people: it shows one pending interrupt as an Airflow Required Action."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.providers.standard.operators.hitl import HITLOperator

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.airflow_adapter.required_action import create_form
from airflow_provider_agentruns.arguments import check_run_id
from airflow_provider_agentruns.base import AgentRunTask, state_store
from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.exceptions import (
    AgentRunInterruptGoneError,
    AgentRunInvalidRequestError,
    AgentRunReviewError,
    AgentRunsError,
    AgentRunsValueError,
)
from airflow_provider_agentruns.operators.review_form import form_params, validation_errors
from airflow_provider_agentruns.reviews.answer_schema import QUESTION_FIELD, RATING, RATING_COMMENT, rated_artifact
from airflow_provider_agentruns.reviews.audit_trail import RESULT, TRAIL, audit_trail, for_log
from airflow_provider_agentruns.reviews.body import body, subject
from airflow_provider_agentruns.reviews.decision import Decision, answer_material, decide_by_policy, default_answer
from airflow_provider_agentruns.reviews.state import START_NEW_RUN, ReviewState
from airflow_provider_agentruns.reviews.text import interrupt_name

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_provider_agentruns.models import AgentRun, Interrupt

#: The key of a review's state in the task state store.
_STATE_KEY = "agent_run_review"

#: How long a retry waits for the triggerer to read the form.
_READ_FORM_WITHIN = timedelta(hours=1)

#: How much of a question names an instance of a mapped task. Airflow accepts 250 characters in total.
_LABEL_LENGTH = 120


class AgentRunReviewOperator(AgentRunTask, HITLOperator):
    """
    Shows one pending interrupt to a person as an Airflow Required Action, waits, and answers it exactly once.

    A retry continues with the answer that was given, and does not ask again. On Airflow 3.3 a waiting review occupies
    neither a worker nor the triggerer; on 3.1 and 3.2 it is deferred.

    ``options``, ``defaults``, ``multiple``, ``params``, ``notifiers``, ``assigned_users``, and ``response_timeout``
    mean the same as for Airflow's ``HITLOperator``.

    The XCom value is ``{"run_id", "interrupt_id", "chosen_options", "params_input", "responded_by", "responded_at",
    "status"}``. The XCom key ``trail`` adds what an auditor asks for: what was asked, shown, and sent.

    A task instance keeps its form permanently, so each interrupt needs a task instance of its own. Map over the
    interrupts, or use :func:`~airflow_provider_agentruns.operators.agent_run.review_rounds`.

    :param run_id: The ID of the run: a template, or another task's output. (templated)
    :param interrupt: The ID of the interrupt (templated), or the interrupt as ``AgentRunSensor`` returns it.
    :param options: The options from which the person chooses.
    :param params: Additional fields of the form, as Airflow ``Param`` objects. If the interrupt's value has a JSON
        schema for its answer (``input_schema``), that adds fields, too. Fields given here win.
    :param build_input: Makes the answer: a callable that takes a dict, or a template in which this dict is ``answer``.
        The dict has ``interrupt`` (``id``, ``agent``, ``value``), ``decision`` (in the agent's words), ``fields``,
        ``chosen_options``, ``responded_by``, ``responded_at``, and ``by`` (``person``, ``policy``, or ``timeout``).
        By default the answer is ``{"decision", "fields", "responded_by", "responded_at"}``, or what the interrupt's
        schema describes.
    :param decide: A policy for the easy cases: a callable that takes the
        :class:`~airflow_provider_agentruns.models.Interrupt` and returns one of ``options``, the answer to send, or
        None to ask a person.
    :param feedback: Whether the form asks for a rating of the proposed artifact, if it has an ID.
    :param agentruns_conn_id: The ID of the Airflow connection. (templated)
    :raises AgentRunConflictError: If the interrupt is not pending, or another client answered it. Nothing is sent.
    :raises AgentRunReviewError: If the answer belongs to another question, or is not valid. Nothing is sent.
    """

    template_fields: Sequence[str] = ("run_id", "interrupt", "agentruns_conn_id")
    late_template_fields: Sequence[str] = ("build_input",)
    template_fields_renderers = {"interrupt": "json"}  # noqa: RUF012 -- as Airflow declares it

    def __init__(
        self,
        *,
        run_id: str | XComArg,
        interrupt: str | Mapping[str, Any] | XComArg,
        options: Sequence[str] = ("Approve", "Reject"),
        build_input: Callable[[dict[str, Any]], Any] | str | dict[str, Any] | list[Any] | None = None,
        decide: Callable[[Interrupt], Any] | None = None,
        feedback: bool = False,
        **kwargs: Any,
    ) -> None:
        check_run_id(run_id)
        # A review makes subject and body from what the agent asks. Python rejects others.
        super().__init__(subject="A question of an agent run", body=None, options=list(options), **kwargs)
        self.run_id = run_id
        self.interrupt = interrupt
        self.build_input = build_input
        self.decide = decide
        self.feedback = feedback

    def run_label_parts(self) -> Sequence[Any]:
        """Return the question, if the task has it, and the run."""
        value = self.interrupt.get("value") if isinstance(self.interrupt, Mapping) else None
        label = value.get("label") if isinstance(value, Mapping) else None
        return label[:_LABEL_LENGTH] if isinstance(label, str) else None, self.run_id

    def execute(self, context: Context) -> Any:
        """Decide by policy, or show the form and wait. A retry first uses an answer that exists."""
        from airflow_provider_agentruns.triggers.form_answer import FormAnswerTrigger

        with self.error_boundary():
            state, attempt = self._stored(context), self.current_attempt(context)
            # A person who clears the task changes max_tries.
            if state:
                is_retry = state.max_tries == attempt.max_tries
            else:
                is_retry = state_store(context) is None and attempt.number > 1 and not attempt.was_cleared
            if state and state.decision and is_retry:
                return self._submit(context, state)
            if is_retry:
                # Only the triggerer can read the form. Creating the form again would delete an answer.
                trigger = FormAnswerTrigger(str(context["ti"].id))
                self.defer(trigger=trigger, method_name="form_read", timeout=_READ_FORM_WITHIN)
            return self._ask(context)

    def form_read(self, context: Context, event: dict[str, Any]) -> Any:
        """Continue with the answer that a person gave while no worker was running, or ask."""
        # An answer comes in the trigger's event, or in that of Airflow if it arrives at this moment. Without a state
        # store, only the answer itself shows to which question it belongs.
        is_clear = state_store(context) is not None or QUESTION_FIELD in (event.get("params_input") or {})
        if "chosen_options" in event and is_clear:
            return self.execute_complete(context, event)
        with self.error_boundary():
            state = self._stored(context)
            if event.get("form") and state and state.shown:
                self._keep_waiting(state)
            return self._ask(context)

    def execute_complete(self, context: Context, event: dict[str, Any], state: dict[str, Any] | None = None) -> Any:
        """
        Answer the interrupt with what the person chose.

        :param state: The state of the review when the wait began, if there is no state store.
        """
        if "error" in event and event.get("error_type") != "validation":
            self.process_trigger_event_error(event)
        with self.error_boundary():
            if "error" in event:
                # Airflow before 3.3 validates the fields, and its message repeats what a person entered.
                raise self._invalid("Airflow rejects it")
            begun = ReviewState(**state) if state else None
            review = self._stored(context) or begun or self._begin(context, self._pending())
            # Stored first, so that no later try asks again.
            review.decision = asdict(Decision.from_event(event))
            self._store(context, review)
            return self._submit(context, review)

    def _ask(self, context: Context) -> Any:
        """Decide by policy, or show the form and wait."""
        earlier = self._stored(context)
        try:
            interrupt = self._pending(earlier.question if earlier and earlier.shown else None)
        except AgentRunInterruptGoneError:
            if earlier and earlier.sent is not None:
                # This task answered it before a person cleared the task.
                return self._submit(context, earlier)
            raise
        review, now = self._begin(context, interrupt), datetime.now(UTC).isoformat()
        if earlier and earlier.shown:
            earlier.check_question(interrupt)
        if self.decide and (decided := decide_by_policy(self.decide, interrupt, self.options, now)):
            review.decision, review.sent = asdict(decided[0]), decided[1]
            self._store(context, review)
            return self._submit(context, review)
        self.subject = subject(interrupt)
        self.body = body(interrupt, run_id=str(self.run_id), run_page=self.run_page)
        rated = self._set_fields(context, interrupt)
        review.shown = {
            "at": now,
            "subject": self.subject,
            "body": self.body,
            "options": self.options,
            "fields": list(self.params),
            "rated_artifact": rated,
        }
        self._store(context, review)
        if not create_form(
            context["ti"].id,
            subject=self.subject,
            body=self.body,
            params=self.serialized_params,
            options=self.options,
            defaults=self.defaults,
            multiple=self.multiple,
            assigned_users=self.assigned_users or [],
        ):
            raise AgentRunReviewError(
                "Airflow keeps a task instance's form permanently, and this one has the form of another question than "
                f"{interrupt_name(str(self.run_id), self._interrupt_id)}. {START_NEW_RUN}"
            )
        metrics.review_asked(self.agentruns_conn_id)
        try:
            return HITLOperator.execute(self, context)
        except TaskDeferred as deferred:
            # Airflow before 3.3 has no state store, so the state waits with the task.
            deferred.kwargs = {**(deferred.kwargs or {}), "state": asdict(review)}
            raise

    def _set_fields(self, context: Context, interrupt: Interrupt) -> str | None:
        """Set the fields of the form, and return the ID of the artifact that the person can rate."""
        rated = rated_artifact(interrupt) if self.feedback else None
        question = digest(interrupt.value) if state_store(context) is None else None
        self.params = form_params(interrupt, self.options, self.params, rated, question)
        return rated["id"] if rated else None

    def _keep_waiting(self, review: ReviewState) -> NoReturn:
        """Wait with the form that exists. Creating it again would delete an answer that arrives at this moment."""
        # Exists since Airflow 3.3, like the state store.
        from airflow.sdk.exceptions import TaskAwaitingInput

        review.check_question(self._pending(review.question))
        self.log.info("The form exists already. Waiting for the answer")
        raise TaskAwaitingInput(method_name="execute_complete", timeout=self.response_timeout)

    def _submit(self, context: Context, review: ReviewState) -> dict[str, Any]:
        """Answer the interrupt with the decision, and return the XCom value."""
        from airflow_provider_agentruns.operators.answering import answer_interrupt

        decision = Decision(**(review.decision or {}))
        if review.sent is None:
            review.check_form(decision)
            interrupt = self._pending(review.question)
            review.check_question(interrupt)
            if decision.by != "policy":
                decision = self._validated(context, interrupt, decision)
            review.decision, review.sent = asdict(decision), [self._answer(context, interrupt, decision)]
            self._store(context, review)
        try:
            answered = answer_interrupt(
                self, context, review.run_id, review.interrupt_id, review.sent[0], review.question
            )
        except AgentRunInvalidRequestError as e:
            if not any(decision.fields.values()):
                raise
            hidden = "the agent rejects the answer. Its message is hidden, because it can repeat what a person entered"
            raise AgentRunInvalidRequestError(e.status_code, [hidden], e.method, e.path) from None
        metrics.review_decided(self.agentruns_conn_id, decision.by, review.seconds_to_decide(decision))
        delivery = "confirmed" if answered.confirmed else "presumed"
        trail = audit_trail(review, decision, str(answered.run.status), delivery, self._rate(review, decision))
        context["ti"].xcom_push(key=TRAIL, value=trail)
        self.log.info("Agent run interrupt reviewed", **for_log(trail))
        return {key: trail[key] for key in RESULT}

    def _rate(self, review: ReviewState, decision: Decision) -> dict[str, Any] | None:
        """Rate the artifact, and return what was sent, with the error if it failed, or None without a rating."""
        artifact_id, rating = (review.shown or {}).get("rated_artifact"), decision.params_input.get(RATING)
        if not artifact_id or not rating:
            return None
        comment = decision.params_input.get(RATING_COMMENT)
        given = {"artifact_id": artifact_id, "rating": rating, "comment": comment}
        try:
            self.hook.rate_artifact(review.run_id, artifact_id, rating, comment)
        except AgentRunsError as e:
            # Without the message, in which the service can repeat the comment.
            self.log.warning("The answer was sent, but not the rating of the artifact: %s", type(e).__name__)
            return {**given, "error": str(e)}
        return given

    def _validated(self, context: Context, interrupt: Interrupt, decision: Decision) -> Decision:
        """Return the decision with every field of the form, and check that they are valid."""
        self._set_fields(context, interrupt)
        defaults = {name: self.params.get_param(name) for name in self.params}
        entered = {name: field.value if field.has_value else None for name, field in defaults.items()}
        entered |= decision.params_input
        # After a timeout, nobody has filled in the required fields: the DAG author's defaults decide without them.
        if decision.by == "person" and (
            errors := validation_errors(self.params, self.options, decision.chosen_options, entered)
        ):
            raise self._invalid("; ".join(errors))
        entered.pop(QUESTION_FIELD, None)
        return replace(decision, params_input=entered)

    def _invalid(self, reason: str) -> AgentRunReviewError:
        return AgentRunReviewError(
            f"The answer to {interrupt_name(str(self.run_id), self._interrupt_id)} does not fit the form: {reason}. "
            "Nothing was sent. Clear the task to ask again"
        )

    def _answer(self, context: Context, interrupt: Interrupt, decision: Decision) -> Any:
        if self.build_input is None:
            return default_answer(interrupt, decision)
        material = answer_material(interrupt, decision)
        if callable(self.build_input):
            return self.build_input(material)
        return self.render_template(self.build_input, cast("Context", {**context, "answer": material}))

    @property
    def _interrupt_id(self) -> str:
        found = self.interrupt.get("id") if isinstance(self.interrupt, Mapping) else self.interrupt
        if isinstance(found, str) and found.strip():
            return found
        raise AgentRunsValueError(
            "interrupt needs the ID of an interrupt, or an interrupt as AgentRunSensor returns it. This "
            f"{type(self.interrupt).__name__} has no ID"
        )

    def _pending(self, expected: str | None = None) -> Interrupt:
        """
        Return the interrupt as the run shows it now.

        :param expected: The digest of what it asked, if known. If a response shows something else, the run is read
            again for some seconds, because a response can be outdated.
        :raises AgentRunInterruptGoneError: If it is not pending.
        """
        from airflow_provider_agentruns.idempotency.interrupt_state import (
            hides_questions,
            interrupt_state,
            no_question,
            read_until,
        )

        run_id, interrupt_id = str(self.run_id), self._interrupt_id
        run = read_until(
            lambda: cast("AgentRun", self.read_run(run_id)),
            lambda run: interrupt_state(run, interrupt_id, expected) != "unclear",
            time.sleep,
        )
        if interrupt := run.pending(interrupt_id):
            return interrupt
        if hides_questions(run):
            raise no_question(run_id, interrupt_id)
        raise AgentRunInterruptGoneError.of(run_id, interrupt_id, run, "another client may have answered it")

    def _begin(self, context: Context, interrupt: Interrupt) -> ReviewState:
        return ReviewState.begin(str(self.run_id), interrupt, self.current_attempt(context).max_tries)

    def _stored(self, context: Context) -> ReviewState | None:
        store = state_store(context)
        return ReviewState.restore(store.get(_STATE_KEY) if store else None, str(self.run_id), self._interrupt_id)

    def _store(self, context: Context, review: ReviewState) -> None:
        if store := state_store(context):
            store.set(_STATE_KEY, asdict(review))
