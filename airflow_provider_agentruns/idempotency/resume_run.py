# SPDX-License-Identifier: Apache-2.0
"""
Answers an interrupt once, even if a worker dies or a response is lost.

The task sends an answer only while the run shows the same question as pending, and first stores digests of question and
answer. In doubt, it reads the run again: an open question was not answered, and a closed one was.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import (
    AgentRunConflictError,
    AgentRunInterruptGoneError,
    AgentRunReviewError,
    AgentRunsError,
)
from airflow_provider_agentruns.idempotency.state import Send, Sleep, StateStore
from airflow_provider_agentruns.models import AgentRun, Interrupt
from airflow_provider_agentruns.text import digest, quoted, single_line

log = logging.getLogger(__name__)

_KEY = "agent_run_answer"

#: Seconds between reads of a run that may have accepted an answer. The service may still be processing the request.
_PAUSES = (0.5, 1.5, 3.0)
#: How often an answer is sent if each response is lost and the question stays open.
_MAX_SENDS = 3

InterruptState = Literal["open", "closed", "unclear"]


@dataclass(frozen=True, slots=True)
class Answered:
    """The run after an answer, which the service confirmed, or which someone else may have given."""

    run: AgentRun
    delivery: Literal["confirmed", "presumed"]


def answer_once(
    run_id: str,
    interrupt_id: str,
    answer: Any,
    *,
    send: Send,
    store: StateStore | None,
    is_retry: bool = False,
    question: str | None = None,
    seen: str | None = None,
    sleep: Sleep = time.sleep,
) -> Answered:
    """
    Answer one pending interrupt, and return the run after that.

    :param is_retry: Whether an earlier try of the task may have sent an answer.
    :param question: The :func:`digest` of the question at the time the answer was given, if known.
    :param seen: The run's ``updated_at`` at that time in ISO 8601, if known. Older responses are not used.
    :raises AgentRunInterruptGoneError: If the interrupt is not pending, and no stored answer explains that.
    :raises AgentRunConflictError: If someone else answered it at the same time.
    """
    request = {"run_id": run_id, "interrupt_id": interrupt_id, "input": answer}
    # Reject an invalid answer before anything is read or stored.
    requests.resume_run(**request)
    shown = f"Interrupt {quoted(interrupt_id)} of agent run {single_line(run_id)}"
    record: dict[str, Any] | None = store.get(_KEY) if store else None
    # What an earlier try stored before it answered this interrupt.
    earlier = _of_interrupt(record, run_id, interrupt_id)
    read = partial(send, requests.get_run, run_id)
    before = InterruptReader(read, interrupt_id, sleep, earlier.get("question", question), earlier.get("seen") or seen)
    run, interrupt = before.find("open", "closed")
    if interrupt is None:
        return _gone(run, interrupt_id, answer, earlier)
    asked, seen = digest(interrupt.value), run.updated_at.isoformat() if run.updated_at else None
    for known, when in (
        (earlier.get("question"), "an earlier try of this task answered it, with an unknown result"),
        (question, "the answer was given"),
    ):
        if known and known != asked:
            raise AgentRunInterruptGoneError(
                run_id, f"{shown}: the question has changed since {when}. Nothing was sent"
            )

    after = InterruptReader(read, interrupt_id, sleep, asked, seen)
    if earlier or (is_retry and record is None):
        # The service may still be processing an answer of the earlier try.
        run = after.read_until("closed")
        if after.state(run) == "closed":
            return _gone(run, interrupt_id, answer, earlier)
        if after.state(run) == "unclear":
            raise AgentRunsError(f"{shown} may have accepted the answer of an earlier try. Nothing was sent")
    note = {"run_id": run_id, "interrupt_id": interrupt_id, "question": asked, "answer": digest(answer)}
    if store:
        store.set(_KEY, {**note, "seen": seen})

    for number in range(1, _MAX_SENDS + 1):
        try:
            run = send(requests.resume_run, **request)
        except AgentRunsError as e:
            if not e.in_doubt:
                # An answer that was sent before may have arrived late, and caused this conflict.
                sent_before = number > 1 or note.items() <= earlier.items()
                if isinstance(e, AgentRunConflictError) and sent_before and after.state(run := read()) == "closed":
                    log.info("%s is no longer pending: an earlier request delivered the answer", shown)
                    return Answered(run, "presumed")
                if store and number == 1:
                    # A first answer that the service rejected does not count as sent.
                    store.set(_KEY, earlier)
                raise
            log.warning("It is unknown whether the answer was accepted (%s); reading the run", e)
            run = after.read_until("closed")
            if after.state(run) == "closed":
                log.info("%s is no longer pending: the answer was accepted", shown)
                return Answered(run, "presumed")
            if after.state(run) == "unclear" or number == _MAX_SENDS:
                # The next try continues.
                raise
            log.info("%s is still pending; sending the answer again", shown)
        else:
            break
    log.info("%s is answered; the run is %s", shown, single_line(run.status))
    return Answered(run, "confirmed")


def may_have_been_sent(store: StateStore | None, run_id: str, interrupt_id: str) -> bool:
    """Return whether a try of this task may have answered this interrupt, with an unknown result."""
    return bool(store and _of_interrupt(store.get(_KEY), run_id, interrupt_id))


def _of_interrupt(record: dict[str, Any] | None, run_id: str, interrupt_id: str) -> dict[str, Any]:
    return record if record and (record["run_id"], record["interrupt_id"]) == (run_id, interrupt_id) else {}


def _gone(run: AgentRun, interrupt_id: str, answer: Any, earlier: dict[str, Any]) -> Answered:
    """Decide whether this task or someone else answered an interrupt that is not pending."""
    if earlier.get("answer") == digest(answer):
        log.warning(
            "An earlier try sent this answer to interrupt %s of agent run %s, with an unknown result. The interrupt is "
            "no longer pending, so the answer counts as accepted",
            quoted(interrupt_id),
            single_line(run.id),
        )
        return Answered(run, "presumed")
    why = "an earlier try of this task gave it another answer" if earlier else "someone else may have answered it"
    raise AgentRunInterruptGoneError.of(run.id, interrupt_id, run, why)


class InterruptReader:
    """
    Reads a run for some seconds, until the state of one interrupt is clear, before and after an answer is sent.

    An interrupted run without questions, or with another question under this ID, proves nothing.
    """

    def __init__(
        self, read: Callable[[], AgentRun], interrupt_id: str, sleep: Sleep, question: str | None, seen: str | None
    ) -> None:
        self._read, self._sleep = read, sleep
        self._interrupt_id, self._question = interrupt_id, question
        self._since = datetime.fromisoformat(seen) if seen else None

    def read_until(self, *states: InterruptState) -> AgentRun:
        """Return the first response with one of the states, or the last response."""
        run = self._read()
        for pause in _PAUSES:
            if self.state(run) in states:
                break
            self._sleep(pause)
            run = self._read()
        return run

    def find(self, *states: InterruptState) -> tuple[AgentRun, Interrupt | None]:
        """
        Return what ``read_until`` returns, and the interrupt; None if the interrupt is not pending.

        :raises AgentRunsError: If it is unknown whether the interrupt is pending. Another try may show it.
        :raises AgentRunReviewError: If several questions have this ID.
        """
        run = self.read_until(*states)
        shown = single_line(run.id)
        if self._is_outdated(run):
            problem = f"an outdated state of agent run {shown}, of {run.updated_at}"
        elif (interrupt := self._pending(run)) or not _hides_questions(run):
            return run, interrupt
        else:
            problem = f"the interrupted agent run {shown} without a question"
        raise AgentRunsError(
            f"The service returned {problem}. It is unknown whether interrupt {quoted(self._interrupt_id)} is pending. "
            "Nothing was sent"
        )

    def state(self, run: AgentRun) -> InterruptState:
        """Return the state of the question in a run that was just read."""
        if self._is_outdated(run):
            return "unclear"
        interrupt = self._pending(run)
        if interrupt is None:
            return "unclear" if _hides_questions(run) else "closed"
        # A different question: the agent used the ID again, or the service shows the same question differently.
        return "open" if self._question in (None, digest(interrupt.value)) else "unclear"

    def _is_outdated(self, run: AgentRun) -> bool:
        return self._since is not None and run.updated_at is not None and run.updated_at < self._since

    def _pending(self, run: AgentRun) -> Interrupt | None:
        found = [interrupt for interrupt in run.interrupts if interrupt.id == self._interrupt_id]
        if any(interrupt.value != found[0].value for interrupt in found):
            raise AgentRunReviewError(
                f"Agent run {single_line(run.id)} asks {len(found)} questions with the same interrupt ID "
                f"{quoted(self._interrupt_id)}. IDs must be unique, because an answer could reach the wrong question. "
                "Nothing is shown or sent. Report this to the agent's provider"
            )
        return found[0] if found else None


def _hides_questions(run: AgentRun) -> bool:
    return run.status == "interrupted" and not run.interrupts
