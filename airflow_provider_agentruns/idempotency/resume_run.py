# SPDX-License-Identifier: Apache-2.0
"""
Answering an interrupt once, although workers die and answers get lost.

An answer is sent only while the run shows the very question as pending. That it is about to be sent is
written into the task's store first, with digests of question and answer. After any doubt the run is read
again: a question that is still there was not answered, one that is gone was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pendulum

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.exceptions import (
    AgentRunConflictError,
    AgentRunInterruptGoneError,
    AgentRunsError,
)
from airflow_provider_agentruns.idempotency.probe import RunProbe, hides_questions, is_older, no_question, shows

if TYPE_CHECKING:
    from airflow_provider_agentruns.idempotency.state import Log, Send, StateStore
    from airflow_provider_agentruns.models import AgentRun

_KEY = "agent_run_answer"

#: How often an answer whose fate is unknown is sent, if the run goes on showing the question.
_MOST_SENDINGS = 3


@dataclass(frozen=True, slots=True)
class Answered:
    """
    An interrupt that is answered.

    :param run: The run after that.
    :param confirmed: Whether the service has said that it took the answer. Else the interrupt was no longer
        pending after the answer had, or may have, gone out; in theory it may be somebody else who answered it.
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
    resume_body: dict[str, Any],
    log: Log,
    question: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Answered:
    """
    Answer one pending interrupt, and return the run as it is after that.

    :param answer: Any JSON value.
    :param question: The :func:`digest` of what was asked when the answer was given, where that is known.
    :param store: What outlives a try; None on Airflow before 3.3. Then an interrupt that is gone when a
        later try begins counts as answered by somebody else.
    :param resume_body: The connection's template of what is sent.
    :param sleep: Pauses for some seconds.
    :raises AgentRunInterruptGoneError: If the interrupt is not pending, and not through an answer of this task.
    :raises AgentRunConflictError: If somebody else answered it in the very moment.
    """
    request = {"run_id": run_id, "interrupt_id": interrupt_id, "input": answer, "template": resume_body}
    # What cannot be sent is refused before anything is read or written.
    requests.resume_run(**request)
    looks = RunProbe(run_id, interrupt_id, send, sleep)
    sent = _earlier(store, run_id, interrupt_id)

    known = {question, sent["question"] if sent else None}
    seen = sent.get("seen") if sent else None
    since = pendulum.instance(datetime.fromisoformat(seen)) if seen else None
    run = looks.until(lambda run: shows(run, interrupt_id, known) and not is_older(run, since))
    interrupt = run.pending(interrupt_id)
    if is_older(run, since):
        raise AgentRunsError(
            f"Agent run {run_id} is shown as it was at {run.updated_at}, which is older than what was seen before an "
            f"earlier try answered interrupt {interrupt_id!r}: it cannot be told yet whether the answer was taken"
        )
    if interrupt is None:
        if hides_questions(run):
            raise no_question(run_id, interrupt_id)
        return _gone(run, interrupt_id, answer, sent, log)
    about = digest(interrupt.value)
    for answered, when in (
        (sent and sent["question"], "an earlier try of this task answered it, and it is unknown what became of that"),
        (question, "it was answered"),
    ):
        if answered and answered != about:
            raise AgentRunInterruptGoneError(
                run_id,
                f"Interrupt {interrupt_id!r} of agent run {run_id} asks something else now than when {when}. Nothing "
                "was sent: the answer was not meant for this question",
            )
    looks.before(run, about)
    if sent and (over := looks.over()):
        # It was on its way still, and was taken only now.
        return _gone(over, interrupt_id, answer, sent, log)
    if sent and looks.last == "unclear":
        raise AgentRunsError(
            f"What agent run {run_id} shows does not tell whether interrupt {interrupt_id!r} has taken the answer of "
            "an earlier try of this task. Nothing was sent"
        )
    note = {"run_id": run_id, "interrupt_id": interrupt_id, "question": about, "answer": digest(answer)}
    if store:
        store.set(_KEY, {**note, "seen": run.updated_at.isoformat() if run.updated_at else None})

    for sending in range(1, _MOST_SENDINGS + 1):
        try:
            run = send(requests.resume_run, **request)
        except AgentRunConflictError:
            # Of two sendings the first, which may be an earlier try's, can have arrived late: then the second
            # meets this.
            second = sending > 1 or (sent is not None and note.items() <= sent.items())
            if second and looks.fate(run := looks.read()) == "over":
                log.info("Interrupt %s of agent run %s had taken the answer before", interrupt_id, run_id)
                return Answered(run, confirmed=False)
            _take_back(store, sent, sending)
            raise
        except AgentRunsError as e:
            if not e.in_doubt:
                _take_back(store, sent, sending)
                raise
            log.warning("It is unknown whether the answer was taken (%s): reading the run", e)
            if over := looks.over():
                log.info("Interrupt %s of agent run %s is not pending any more: answer taken", interrupt_id, run_id)
                return Answered(over, confirmed=False)
            if looks.last == "unclear":
                log.warning("What the run shows does not tell it either: left to another try")
                raise
            if sending == _MOST_SENDINGS:
                raise
            log.info("Interrupt %s of agent run %s is still pending: sending again", interrupt_id, run_id)
        else:
            break
    log.info("Interrupt %s of agent run %s is answered; the run is %s", interrupt_id, run_id, run.status)
    return Answered(run, confirmed=True)


def _earlier(store: StateStore | None, run_id: str, interrupt_id: str) -> dict[str, Any] | None:
    """Return the note of an earlier try that was about to answer this interrupt."""
    note = store.get(_KEY) if store else None
    ours = note and note["run_id"] == run_id and note["interrupt_id"] == interrupt_id
    return note if ours else None


def _take_back(store: StateStore | None, earlier: dict[str, Any] | None, sending: int) -> None:
    """Have the store as before a first sending that was surely not taken: a later try has answered nothing then."""
    if store and sending == 1:
        store.set(_KEY, earlier or {})


def _gone(run: AgentRun, interrupt_id: str, answer: Any, sent: dict[str, Any] | None, log: Log) -> Answered:
    """Decide about an interrupt that is not pending: answered by this task before, or not ours to answer."""
    if sent and sent["answer"] == digest(answer):
        log.warning(
            "An earlier try of this task was sending this answer to interrupt %s of agent run %s, which is no longer "
            "pending: it counts as taken, and it is not sent again",
            interrupt_id,
            run.id,
        )
        return Answered(run, confirmed=False)
    why = "an earlier try of this task gave it another answer" if sent else "somebody else may have answered it"
    raise AgentRunInterruptGoneError.of(run.id, interrupt_id, run, why)
