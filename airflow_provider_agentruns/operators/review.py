# SPDX-License-Identifier: Apache-2.0
"""The operator that brings a person in: one pending interrupt as one of Airflow's Required Actions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.definitions.template import literal

from airflow_provider_agentruns.arguments import check_run_id
from airflow_provider_agentruns.base import AgentRunTask, current_attempt, state_store
from airflow_provider_agentruns.exceptions import (
    AgentRunInterruptGoneError,
    AgentRunReviewError,
    AgentRunsValueError,
)

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_provider_agentruns.models import Interrupt
    from airflow_provider_agentruns.reviews.state import ReviewState

#: How long a retry waits for the triggerer to look up an answer.
_LOOK_UP_WITHIN = timedelta(hours=1)

#: How much of a question an instance of a mapped task is called by; Airflow takes 250 characters in all.
_LABEL_LENGTH = 120


class AgentRunReviewOperator(AgentRunTask, HITLOperator):
    """
    Shows one pending interrupt to a person as an Airflow Required Action, waits, and answers it, exactly once.

    Builds on Airflow's ``HITLOperator``: ``options``, ``defaults``, ``multiple``, ``params``, ``notifiers``,
    ``assigned_users`` and ``response_timeout`` mean what they mean there. On Airflow 3.3 a waiting review holds
    neither a worker nor the triggerer; on 3.1 and 3.2 it is deferred.

    Its XCom value is ``{"run_id", "interrupt_id", "chosen_options", "params_input", "responded_by",
    "responded_at", "status"}``. XCom key ``trail`` has all that an auditor asks for: also what was asked, what
    was shown and what was sent.

    One task instance has one form for ever, so that each interrupt takes a task instance of its own: map over
    them, or use :func:`~airflow_provider_agentruns.operators.agent_run.review_rounds`.

    :param run_id: The run's id; a template, or another task's output. (templated)
    :param interrupt: The interrupt's id (templated), or the interrupt as ``AgentRunSensor`` gives it.
    :param options: What the person chooses from.
    :param params: More fields of the form, as Airflow ``Param``. Where the interrupt's value carries a JSON
        schema for its answer (``input_schema``), the fields come from that; those given here win.
    :param build_input: Makes the answer that is sent: a callable that takes a dict, or a template in which that
        dict is ``answer``. It has ``interrupt`` (``id``, ``agent``, ``value``), ``decision`` (in the agent's
        words), ``fields``, ``chosen_options``, ``responded_by``, ``responded_at`` and ``by`` (``person``,
        ``policy`` or ``timeout``). By default ``{"decision", "fields", "responded_by", "responded_at"}``, or
        what the interrupt's schema describes.
    :param decide: A policy for the easy cases: a callable that takes the
        :class:`~airflow_provider_agentruns.models.Interrupt` and returns one of ``options``, or the answer to send as
        it is, or None to ask a person.
    :param feedback: Whether the form has a rating for the artifact that is proposed, where it has an id.
    :param agentruns_conn_id: The Airflow connection. (templated)
    :raises AgentRunConflictError: If the interrupt is not pending, or somebody else answered it. Nothing is sent.
    :raises AgentRunReviewError: If the answer was given to another question, or does not fit. Nothing is sent.
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
        if given := kwargs.keys() & {"subject", "body"}:
            raise AgentRunsValueError(f"{' and '.join(sorted(given))} cannot be given: made from what the agent asks")
        super().__init__(subject="A question of an agent run", options=list(options), **kwargs)
        self.run_id = run_id
        # What the agent says is no template, though Airflow would render it where it comes by expand_kwargs.
        self.interrupt = literal(dict(interrupt)) if isinstance(interrupt, Mapping) else interrupt
        self.build_input = build_input
        self.decide = decide
        self.feedback = feedback

    def run_label_parts(self) -> Sequence[Any]:
        """Return the question, where it is given with the interrupt, and the run."""
        given = getattr(self.interrupt, "value", self.interrupt)
        value = given.get("value") if isinstance(given, Mapping) else None
        label = value.get("label") if isinstance(value, Mapping) else None
        return label[:_LABEL_LENGTH] if isinstance(label, str) else None, self.run_id

    def execute(self, context: Context) -> Any:
        """Decide by policy, or show the form and wait; a retry first makes use of an answer that is there."""
        with self.error_boundary():
            note = self._kept(context)
            if note and note.series == current_attempt(context).max_tries:
                if note.decision:
                    return self._settle(context, note)
                self._look_up_answer(context)
            elif state_store(context) is None and _is_retry(context, self.retries):
                self._look_up_answer(context)
            return self._ask(context)

    def answer_looked_up(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on with the answer that was given while no worker lived, or ask."""
        from airflow_provider_agentruns.reviews.form import QUESTION_FIELD

        # Whoever answers right now wakes this task as well, with Airflow's own event.
        answered = event.get("answered", "chosen_options" in event)
        # Without a memory, only its own word tells which question an answer is to.
        if answered and (state_store(context) is not None or QUESTION_FIELD in (event.get("params_input") or {})):
            return self.execute_complete(context, event)
        with self.error_boundary():
            note = self._kept(context)
            if event.get("form") and note and note.shown:
                self._wait_on(note)
            return self._ask(context)

    def execute_complete(self, context: Context, event: dict[str, Any], note: dict[str, Any] | None = None) -> Any:
        """
        Answer the interrupt with what the person chose.

        :param note: What was kept of the review when it began to wait, where the task has no memory.
        """
        from airflow_provider_agentruns.reviews.decision import Decision
        from airflow_provider_agentruns.reviews.state import ReviewState

        if "error" in event and event.get("error_type") != "validation":
            self.process_trigger_event_error(event)
        with self.error_boundary():
            if "error" in event:
                # Airflow before 3.3 checks the fields as well, and what it says holds what a person wrote.
                raise AgentRunReviewError(
                    f"The answer to interrupt {self._interrupt_id!r} of agent run {self.run_id} does not fit the form, "
                    "as Airflow checks it. Nothing was sent. Clear the task to ask again"
                )
            brought = ReviewState(**note) if note else None
            about = self._kept(context) or brought or self._note_on(context, self.pending())
            # Kept before anything else happens, so that no later try asks again.
            about.decision = Decision.from_event(event).as_json()
            about.keep(state_store(context))
            return self._settle(context, about)

    def _settle(self, context: Context, note: ReviewState) -> dict[str, Any]:
        from airflow_provider_agentruns.operators.submission import submit

        return submit(self, context, note)

    def _look_up_answer(self, context: Context) -> None:
        """Defer for a moment: to show a form again would take away the answer that a worker died with."""
        from airflow_provider_agentruns.triggers.form import FormAnswerTrigger

        self.defer(
            trigger=FormAnswerTrigger(str(context["ti"].id)), method_name="answer_looked_up", timeout=_LOOK_UP_WITHIN
        )

    def _wait_on(self, note: ReviewState) -> NoReturn:
        """Wait with the form that is shown already: to show it again would take away what is answered just now."""
        # Only who has a memory comes here, and that came with the same Airflow.
        from airflow.sdk.exceptions import TaskAwaitingInput

        note.check_still_asked(self.pending(note.question))
        self.log.info("The form is shown already: waiting on")
        raise TaskAwaitingInput(method_name="execute_complete", timeout=self.response_timeout)

    def _ask(self, context: Context) -> Any:
        import pendulum

        from airflow_provider_agentruns import metrics
        from airflow_provider_agentruns.operators import review_form
        from airflow_provider_agentruns.reviews.body import body, subject
        from airflow_provider_agentruns.reviews.policy import decide_by_policy

        earlier = self._kept(context)
        try:
            interrupt = self.pending(earlier.question if earlier and earlier.shown else None)
        except AgentRunInterruptGoneError:
            if earlier and earlier.sent is not None:
                # This task has answered it, before somebody cleared the task.
                return self._settle(context, earlier)
            raise
        note = self._note_on(context, interrupt)
        if earlier and earlier.shown:
            earlier.check_still_asked(interrupt)
        if self.decide and (decided := decide_by_policy(self.decide, interrupt, self.options)):
            note.decision, note.sent = decided[0].as_json(), decided[1]
            note.keep(state_store(context))
            return self._settle(context, note)
        self.subject = subject(interrupt)
        self.body = body(interrupt, run_id=str(self.run_id), run_page=self.run_page)
        rated = review_form.set_fields(self, context, interrupt)
        note.shown = {
            "at": pendulum.now("UTC").isoformat(),
            "subject": self.subject,
            "body": self.body,
            "options": self.options,
            "fields": list(self.params),
            "rated_artifact": rated,
        }
        note.keep(state_store(context))
        review_form.show(self, context)
        metrics.review_asked(self.agentruns_conn_id)
        try:
            return HITLOperator.execute(self, context)
        except TaskDeferred as waiting:
            # Airflow before 3.3: there is no memory, and what waits takes the note along.
            waiting.kwargs = {**(waiting.kwargs or {}), "note": asdict(note)}
            raise

    @property
    def _interrupt_id(self) -> str:
        # Before Airflow has rendered it, a literal holds it.
        given = getattr(self.interrupt, "value", self.interrupt)
        found = given.get("id") if isinstance(given, Mapping) else given
        if not isinstance(found, str) or not found.strip():
            raise AgentRunsValueError(
                "interrupt should be an interrupt's id, or an interrupt with its id as AgentRunSensor gives it; not "
                f"{type(given).__name__} with the id {found!r}"
            )
        return found

    def pending(self, expected: str | None = None) -> Interrupt:
        """
        Return the interrupt as the run shows it now.

        :param expected: The digest of what it asked, where that is known. An answer of the service may show it
            otherwise for a moment, and is not relied on alone then.
        """
        from airflow_provider_agentruns.idempotency.probe import RunProbe, hides_questions, no_question, shows

        run_id, interrupt_id = str(self.run_id), self._interrupt_id
        run = self.read_run(run_id)
        if run and not shows(run, interrupt_id, {expected}):
            looks = RunProbe(run_id, interrupt_id, self.hook.send, time.sleep)
            run = looks.until(lambda run: shows(run, interrupt_id, {expected}))
        if run and (interrupt := run.pending(interrupt_id)):
            return interrupt
        if run and hides_questions(run):
            raise no_question(run_id, interrupt_id)
        raise AgentRunInterruptGoneError.of(run_id, interrupt_id, run, "somebody else may have answered it")

    def _note_on(self, context: Context, interrupt: Interrupt) -> ReviewState:
        from airflow_provider_agentruns.reviews.state import ReviewState

        return ReviewState.on(str(self.run_id), interrupt, current_attempt(context).max_tries)

    def _kept(self, context: Context) -> ReviewState | None:
        from airflow_provider_agentruns.reviews.state import ReviewState

        return ReviewState.kept(state_store(context), str(self.run_id), self._interrupt_id)


def _is_retry(context: Context, retries: int | None) -> bool:
    """Whether an earlier try failed, and nobody has cleared the task since it first ran."""
    attempt = current_attempt(context)
    return attempt.number > 1 and attempt.max_tries == (retries or 0)
