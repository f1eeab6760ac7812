# SPDX-License-Identifier: Apache-2.0
"""
Answers an interrupt once, although workers die and responses are lost.

An answer is sent only while the run shows the same question as pending. Before that, the task stores digests of
question and answer. After any doubt, it reads the run again: a question that is still open was not answered, one that
is gone was.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.exceptions import AgentRunConflictError, AgentRunInterruptGoneError, AgentRunsError
from airflow_provider_agentruns.idempotency.interrupt_state import (
    InterruptState,
    hides_questions,
    interrupt_state,
    is_older,
    no_question,
    pending_interrupt,
    read_until,
)
from airflow_provider_agentruns.idempotency.state import Send, Sleep, StateStore
from airflow_provider_agentruns.models import AgentRun
from airflow_provider_agentruns.text import quoted, single_line

log = logging.getLogger(__name__)

_KEY = "agent_run_answer"

#: An answer is sent this often at most, if each response is lost and the run keeps showing the question.
_MAX_SENDS = 3


@dataclass(frozen=True, slots=True)
class Answered:
    """
    An interrupt that is answered.

    :param run: The run after the answer.
    :param confirmed: Whether the service confirmed the answer. If False, the interrupt was no longer pending after
        the answer was, or may have been, sent; in theory someone else may have answered it.
    """

    run: AgentRun
    confirmed: bool


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

    :param answer: Any JSON value.
    :param store: Keeps values from one try to the next; None on Airflow before 3.3. If nothing is stored, an interrupt
        that is gone when a later try begins counts as answered by someone else.
    :param is_retry: Whether this is not the first try of the task, so that an answer may be on its way.
    :param question: The :func:`digest` of the question at the time the answer was given, if known.
    :param seen: The run's ``updated_at`` at that time in ISO 8601, if known. Older responses are not used.
    :raises AgentRunInterruptGoneError: If the interrupt is not pending, and not because of an answer of this task.
    :raises AgentRunConflictError: If someone else answered it at the same time.
    """
    request = {"run_id": run_id, "interrupt_id": interrupt_id, "input": answer}
    # Rejects an answer that cannot be sent before anything is read or stored.
    requests.resume_run(**request)
    shown = f"Interrupt {quoted(interrupt_id)} of agent run {single_line(run_id)}"
    record: dict[str, Any] | None = store.get(_KEY) if store else None
    # What an earlier try stored before it answered this interrupt.
    earlier = _of_interrupt(record, run_id, interrupt_id)
    last_seen = earlier.get("seen") or seen
    not_before = datetime.fromisoformat(last_seen) if last_seen else None
    expected = earlier.get("question", question)

    def read() -> AgentRun:
        run: AgentRun = send(requests.get_run, run_id)
        return run

    run = read_until(read, lambda run: interrupt_state(run, interrupt_id, expected, not_before) != "unclear", sleep)
    if is_older(run, not_before):
        raise AgentRunsError(
            f"The service shows agent run {single_line(run_id)} as of {run.updated_at}, older than the run that it "
            f"showed before, so it is unknown whether interrupt {quoted(interrupt_id)} is pending"
        )
    interrupt = pending_interrupt(run, interrupt_id)
    if interrupt is None:
        if hides_questions(run):
            raise no_question(run_id, interrupt_id)
        return _gone(run, interrupt_id, answer, earlier)
    asked, since = digest(interrupt.value), run.updated_at
    if earlier and earlier["question"] != asked:
        when = "an earlier try of this task answered it, with an unknown result"
        raise AgentRunInterruptGoneError(run_id, f"{shown} asks something else than when {when}. Nothing was sent")
    if question and question != asked:
        raise AgentRunInterruptGoneError(
            run_id, f"{shown} asks something else than when the answer was given. Nothing was sent"
        )

    def state(run: AgentRun) -> InterruptState:
        return interrupt_state(run, interrupt_id, asked, since)

    def read_until_closed() -> AgentRun:
        return read_until(read, lambda run: state(run) == "closed", sleep)

    if earlier or (is_retry and record is None):
        # The service may still be processing an answer of the earlier try.
        run = read_until_closed()
        if state(run) == "closed":
            return _gone(run, interrupt_id, answer, earlier)
        if state(run) == "unclear":
            raise AgentRunsError(f"{shown} may have accepted the answer of an earlier try. Nothing was sent")
    note = {"run_id": run_id, "interrupt_id": interrupt_id, "question": asked, "answer": digest(answer)}
    if store:
        store.set(_KEY, {**note, "seen": since.isoformat() if since else None})

    for number in range(1, _MAX_SENDS + 1):
        try:
            run = send(requests.resume_run, **request)
        except AgentRunsError as e:
            if not e.in_doubt:
                # If an answer was sent before, that one can have arrived late, which causes this conflict.
                sent_before = number > 1 or note.items() <= earlier.items()
                if isinstance(e, AgentRunConflictError) and sent_before and state(run := read()) == "closed":
                    log.info("%s had accepted the answer before", shown)
                    return Answered(run, confirmed=False)
                if store and number == 1:
                    # A first answer that the service rejected does not count as sent.
                    store.set(_KEY, earlier)
                raise
            log.warning("It is unknown whether the answer was accepted (%s); reading the run", e)
            run = read_until_closed()
            if state(run) == "closed":
                log.info("%s is not pending any more: the answer was accepted", shown)
                return Answered(run, confirmed=False)
            if state(run) == "unclear" or number == _MAX_SENDS:
                # Left to the next try.
                raise
            log.info("%s is still pending; sending the answer again", shown)
        else:
            break
    log.info("%s is answered; the run is %s", shown, single_line(run.status))
    return Answered(run, confirmed=True)


def may_have_been_sent(store: StateStore | None, run_id: str, interrupt_id: str) -> bool:
    """Return whether a try of this task may have answered this interrupt, with an unknown result."""
    return bool(store and _of_interrupt(store.get(_KEY), run_id, interrupt_id))


def _of_interrupt(record: dict[str, Any] | None, run_id: str, interrupt_id: str) -> dict[str, Any]:
    return record if record and (record["run_id"], record["interrupt_id"]) == (run_id, interrupt_id) else {}


def _gone(run: AgentRun, interrupt_id: str, answer: Any, earlier: dict[str, Any]) -> Answered:
    """Decide whether an interrupt that is not pending was answered by this task or by someone else."""
    if earlier.get("answer") == digest(answer):
        log.warning(
            "An earlier try of this task was sending this answer to interrupt %s of agent run %s, which is not pending "
            "any more. The answer counts as accepted and is not sent again",
            quoted(interrupt_id),
            single_line(run.id),
        )
        return Answered(run, confirmed=False)
    why = "an earlier try of this task gave it another answer" if earlier else "someone else may have answered it"
    raise AgentRunInterruptGoneError.of(run.id, interrupt_id, run, why)
