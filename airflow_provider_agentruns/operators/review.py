# SPDX-License-Identifier: Apache-2.0
"""Shows one pending interrupt as an Airflow Required Action, and sends the decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

from airflow.providers.common.compat.sdk import TaskDeferred, conf
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.definitions.param import ParamsDict

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.airflow_adapter.required_action import create_form
from airflow_provider_agentruns.arguments import check_run_id, log_unknown
from airflow_provider_agentruns.base import state_store
from airflow_provider_agentruns.exceptions import (
    AgentRunInterruptGoneError,
    AgentRunInvalidRequestError,
    AgentRunReviewError,
    AgentRunsError,
)
from airflow_provider_agentruns.operators.review_form import check_form, invalid_answer, own_params
from airflow_provider_agentruns.operators.review_submission import ReviewSubmission
from airflow_provider_agentruns.reviews.answer_schema import QUESTION_FIELD, AnswerSchema
from airflow_provider_agentruns.reviews.body import body, subject
from airflow_provider_agentruns.reviews.decision import Decision, decide_by_policy
from airflow_provider_agentruns.reviews.state import ReviewState
from airflow_provider_agentruns.reviews.text import interrupt_name

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from airflow.sdk.bases.notifier import BaseNotifier

    from airflow_provider_agentruns.models import AgentRun, Interrupt

DEFAULT_OPTIONS = ("Approve", "Reject")

#: A retry is safe, and Airflow can fail a task whose form is answered at once. The delay is in seconds.
DEFAULT_RETRIES = conf.getint("core", "default_task_retries", fallback=0) or 3
DEFAULT_RETRY_DELAY = min(30.0, conf.getfloat("core", "default_task_retry_delay", fallback=300.0))


class AgentRunReviewOperator(ReviewSubmission):
    """
    Shows one pending interrupt to a person as an Airflow Required Action, waits, and answers it exactly once.

    A later try sends the stored decision, and does not ask again. On Airflow 3.3, a waiting review occupies neither a
    worker nor the triggerer.

    ``options``, ``defaults``, ``multiple``, ``params``, ``notifiers``, ``assigned_users``, and ``response_timeout``
    mean the same as for Airflow's ``HITLOperator``.

    The XCom value is ``{"run_id", "interrupt_id", "chosen_options", "params_input", "responded_by", "responded_at",
    "status"}``. The XCom key ``trail`` adds what was asked, shown, and sent. It also exists if the task fails after a
    decision.

    A task instance can have only one form, so each interrupt needs its own task instance: map over the interrupts, or
    use :func:`~airflow_provider_agentruns.operators.agent_run.review_rounds`.

    :param run_id: The run's ID, as a template or another task's output. (templated)
    :param interrupt: The ID of the interrupt (templated), or the interrupt as ``AgentRunSensor`` returns it.
    :param options: The options from which the person chooses.
    :param params: Additional fields of the form, as Airflow ``Param`` objects. A JSON schema in the interrupt's value
        (``input_schema``) adds fields, too. Fields of the DAG take precedence.
    :param build_input: Builds the answer: a callable that takes a dict, or a template in which ``answer`` is this dict.
        The dict has ``interrupt`` (``id``, ``agent``, ``value``), ``decision`` (the agent's value), ``fields``,
        ``chosen_options``, ``responded_by``, ``responded_at``, and ``by`` (``person``, ``policy``, or ``timeout``).
        By default, the answer is ``{"decision", "fields", "responded_by", "responded_at"}``, or what the interrupt's
        schema describes.
    :param decide: A policy for the easy cases: a callable that takes the
        :class:`~airflow_provider_agentruns.models.Interrupt` and returns one of ``options``, the answer to send, or
        None to ask a person.
    :param feedback: Whether the form asks for a rating of the proposed artifact, if it has an ID.
    :param retries: The number of retries. The default is that of ``default_args`` or Airflow's configuration, else 3.
    :param retry_delay: Seconds between two tries, or a ``timedelta``. The default is Airflow's, but at most 30 seconds.
    :param agentruns_conn_id: The Airflow connection. (templated)
    :raises AgentRunConflictError: If the interrupt is not pending. Nothing is sent.
    :raises AgentRunReviewError: If the answer belongs to another question or is not valid, if several questions have
        this ID, or if Airflow holds a form that differs from the DAG. Nothing is sent.
    """

    template_fields: Sequence[str] = ("run_id", "interrupt", "agentruns_conn_id")
    late_template_fields: Sequence[str] = ("build_input",)
    template_fields_renderers = {"interrupt": "json"}  # noqa: RUF012 -- as Airflow declares it

    def __init__(
        self,
        *,
        run_id: str | XComArg,
        interrupt: str | Mapping[str, Any] | XComArg,
        options: Sequence[str] = DEFAULT_OPTIONS,
        build_input: Callable[[dict[str, Any]], Any] | str | dict[str, Any] | list[Any] | None = None,
        decide: Callable[[Interrupt], Any] | None = None,
        feedback: bool = False,
        form_fields: Mapping[str, Any] | None = None,
        retries: int | None = DEFAULT_RETRIES,
        retry_delay: timedelta | float = DEFAULT_RETRY_DELAY,
        **kwargs: Any,
    ) -> None:
        check_run_id(run_id)
        # The agent's question replaces subject and body later. Python rejects both in kwargs.
        super().__init__(
            subject="A question of an agent run",
            body=None,
            options=list(options),
            retries=retries,
            retry_delay=retry_delay,
            **kwargs,
        )
        self.run_id = run_id
        self.interrupt = interrupt
        self.build_input = build_input
        self.decide = decide
        self.feedback = feedback
        check_form(self.options, self.defaults, self.assigned_users, self.response_timeout)
        # Airflow validates a task's params before it starts. A field without a default would crash the worker.
        self.form_fields = ParamsDict(form_fields) if form_fields else own_params(self.params, self.get_dag())
        self.params = ParamsDict()

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        # Airflow calls __init__ of a mapped task only when the agent asks.
        others = (kwargs.get(name) for name in ("defaults", "assigned_users", "response_timeout"))
        check_form(kwargs.get("options", DEFAULT_OPTIONS), *others)
        if "params" in kwargs:
            kwargs["form_fields"] = kwargs.pop("params")
        return super().partial(**kwargs)

    def run_label_parts(self) -> Sequence[Any]:
        value = self.interrupt.get("value") if isinstance(self.interrupt, Mapping) else None
        label = value.get("label") if isinstance(value, Mapping) else None
        return label[:120] if isinstance(label, str) else None, str(self.run_id)[:8]

    def execute(self, context: Context) -> Any:
        from airflow_provider_agentruns.triggers.agent_run import FormAnswerTrigger

        with self.error_boundary():
            review, attempt = self._stored(context), self.current_attempt(context)
            if review and review.decision:
                if not self._was_cleared(context, review):
                    return self._submit(context, review)
                if review.decision.by != "policy" and not review.delivered:
                    return self._submit_or_ask(context, review)
            elif attempt.number > 1 and (review or attempt.was_cleared or state_store(context) is None):
                # Only the triggerer can read the form. Creating the form again would delete an answer.
                trigger = FormAnswerTrigger(str(context["ti"].id))
                self.defer(trigger=trigger, method_name="form_read", timeout=timedelta(hours=1))
            return self._ask(context, review)

    def form_read(self, context: Context, event: dict[str, Any]) -> Any:
        """Continue with the form of an earlier try."""
        # An answer comes in the trigger's event, or in Airflow's if it arrives at this moment.
        if "chosen_options" in event:
            return self.execute_complete(context, event)
        with self.error_boundary():
            review = self._stored(context)
            if event.get("form") and review and review.form:
                # Creating the form again would delete an answer that arrives at this moment.
                _, interrupt = self._pending(review)
                if self._was_cleared(context, review):
                    review.check_form(self._form(interrupt))
                    review.max_tries = self.current_attempt(context).max_tries
                    self._store(context, review)
                self._wait(context, review)
            return self._ask(context, review)

    def execute_complete(
        self, context: Context, event: dict[str, Any], state: dict[str, Any] | None = None, **unknown: Any
    ) -> Any:
        """Answer the interrupt with what the person chose. ``state`` is the review when the wait began."""
        log_unknown(unknown, "a deferred task")
        with self.error_boundary():
            self._check_event(event)
            decision = Decision.from_event(event)
            begun = ReviewState.load({**state, "decision": asdict(decision)}) if state else None
            try:
                review = self._stored(context) or begun
            except AgentRunsError:
                # The DAG names another interrupt now. The decision on this one must not be lost.
                if begun:
                    self._finish(context, begun, "not sent")
                raise
            was_cleared = self._was_cleared(context, review)
            # Without a state, only the answer itself shows to which question it belongs.
            review = review or ReviewState(
                run_id=str(self.run_id),
                interrupt_id=self._interrupt_id,
                max_tries=self.current_attempt(context).max_tries,
                question=str(decision.params_input.get(QUESTION_FIELD) or ""),
            )
            review.decision = decision
            if was_cleared or not review.question:
                return self._submit_or_ask(context, review)
            # Stored first, so that no later try asks again.
            self._store(context, review)
            return self._submit(context, review)

    def _check_event(self, event: dict[str, Any]) -> None:
        shown = interrupt_name(str(self.run_id), self._interrupt_id)
        if event.get("error_type") == "validation":
            # Airflow before 3.3 validates the fields, and its message repeats what a person entered.
            raise invalid_answer(shown, "Airflow rejects it")
        if event.get("error_type") == "timeout":
            # Final, because each retry would wait for the complete response_timeout again.
            raise AgentRunReviewError(
                f"Nobody answered {shown} within the response_timeout of {self.response_timeout}, and the review has "
                "no defaults. Nothing was sent. Clear the task to ask again"
            )
        if "error" in event:
            self.process_trigger_event_error(event)

    def _was_cleared(self, context: Context, review: ReviewState | None) -> bool:
        """Return whether a person has, or may have, cleared the task since the review began."""
        attempt = self.current_attempt(context)
        if review:
            return review.max_tries != attempt.max_tries
        # Airflow 3.3 can discard the state of a task that is cleared. Earlier versions store none.
        return attempt.was_cleared or state_store(context) is not None

    def _ask(self, context: Context, earlier: ReviewState | None) -> dict[str, Any]:
        try:
            run, interrupt = self._pending(earlier if earlier and earlier.shown else None)
        except AgentRunInterruptGoneError:
            if earlier and earlier.decision and (earlier.delivered or earlier.decision.by == "policy"):
                # It was answered before a person cleared the task.
                return self._submit(context, earlier)
            raise
        review = ReviewState.begin(run, interrupt, self.current_attempt(context).max_tries, earlier)
        now = datetime.now(UTC).isoformat()
        if self.decide and (decided := decide_by_policy(self.decide, interrupt, self.options, now)):
            review.decision, review.sent = decided
            self._store(context, review)
            return self._submit(context, review)
        self.subject = subject(interrupt)
        missing = AnswerSchema(interrupt).missing_fields(self.options)
        self.body = body(interrupt, run_id=str(self.run_id), run_page=self.run_page, missing_fields=missing)
        form = review.form = self._form(interrupt)
        rated = self._rated(interrupt)
        review.shown = {
            "at": now,
            "subject": self.subject,
            "body": self.body,
            "options": self.options,
            "fields": list(self.params),
            "rated_artifact": rated and rated["id"],
        }
        # Stored first, so that no later try creates the form again.
        self._store(context, review)
        held = create_form(context["ti"].id, subject=self.subject, body=self.body, **form)
        review.form = {name: held[name] for name in form}
        review.shown |= {"subject": held["subject"], "body": held["body"]}
        if review.form != form:
            # A later try compares the DAG with the form that Airflow holds.
            self._store(context, review)
            review.check_form(form)
        metrics.count("reviews.asked", self.agentruns_conn_id)
        return self._wait(context, review, self.notifiers)

    def _wait(self, context: Context, review: ReviewState, notifiers: Sequence[BaseNotifier] = ()) -> NoReturn:
        # Airflow before 3.3 has no state store, and passes the state to execute_complete.
        state = {"state": asdict(review)}
        try:
            from airflow.sdk.exceptions import TaskAwaitingInput
        except ImportError:
            try:
                HITLOperator.execute(self, context)
            except TaskDeferred as deferred:
                deferred.kwargs = {**(deferred.kwargs or {}), **state}
                raise
        # Unlike HITLOperator.execute, without creating the form again, which would delete an answer that has arrived.
        for notifier in notifiers:
            notifier(context)
        self.log.info("Waiting for a person to answer the form")
        raise TaskAwaitingInput(method_name="execute_complete", kwargs=state, timeout=self.response_timeout)

    def _submit_or_ask(self, context: Context, review: ReviewState) -> Any:
        """Send a decision from before a person cleared the task, or ask again if it cannot be used."""
        if not self._is_usable(review):
            self._finish(context, review, "not sent" if review.shown else "unknown")
        else:
            try:
                return self._submit(context, review)
            except (AgentRunReviewError, AgentRunInvalidRequestError) as e:
                self.log.warning("The earlier decision cannot be sent (%s). Asking again", type(e).__name__)
        return self._ask(context, review)

    def _is_usable(self, review: ReviewState) -> bool:
        """Return whether an earlier decision is allowed, and certainly belongs to the pending question."""
        decision = review.decided
        allowed = [user["id"] for user in self.assigned_users or ()]
        if decision.by == "person" and allowed and (decision.responded_by or {}).get("id") not in allowed:
            self.log.warning("assigned_users does not contain the person who decided. Asking again")
            return False
        if not set(decision.chosen_options) <= set(self.options):
            self.log.warning("The DAG no longer has the chosen option. Asking again")
            return False
        if review.shown or not review.question:
            return bool(review.question)
        # The state is lost, so an earlier try may have sent the decision. The run changes when it accepts an answer.
        changed = cast("AgentRun", self.read_run(review.run_id)).updated_at
        return changed is not None and changed < datetime.fromisoformat(decision.responded_at)
