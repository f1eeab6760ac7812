# SPDX-License-Identifier: Apache-2.0
"""
Answers an interrupt once, although workers die and responses are lost.

An answer is sent only while the run shows the same question as pending. Before that, the task stores digests of
question and answer. After any doubt, it reads the run again: a question that is still open was not answered, one that
is gone was.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pendulum

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.exceptions import AgentRunConflictError, AgentRunInterruptGoneError, AgentRunsError
from airflow_provider_agentruns.idempotency.probe import RunProbe, hides_questions, is_older, no_question, shows
from airflow_provider_agentruns.idempotency.state import Log, Send, Sleep, StateStore
from airflow_provider_agentruns.models import AgentRun
from airflow_provider_agentruns.text import quoted, single_line

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
    resume_body: dict[str, Any],
    log: Log,
    question: str | None = None,
    sleep: Sleep = time.sleep,
) -> Answered:
    """
    Answer one pending interrupt, and return the run after that.

    :param answer: Any JSON value.
    :param store: Keeps values from one try to the next; None on Airflow before 3.3. Then an interrupt that is gone
        when a later try begins counts as answered by someone else.
    :param resume_body: The connection's template of the request body.
    :param question: The :func:`digest` of the question at the time the answer was given, if known.
    :raises AgentRunInterruptGoneError: If the interrupt is not pending, and not because of an answer of this task.
    :raises AgentRunConflictError: If someone else answered it at the same time.
    """
    request = {"run_id": run_id, "interrupt_id": interrupt_id, "input": answer, "template": resume_body}
    # Rejects an answer that cannot be sent before anything is read or stored.
    requests.resume_run(**request)
    probe = RunProbe(run_id, interrupt_id, send, sleep)
    earlier = _stored(store, run_id, interrupt_id)
    shown = f"Interrupt {quoted(interrupt_id)} of agent run {single_line(run_id)}"

    run = _read(probe, run_id, interrupt_id, question, earlier)
    interrupt = run.pending(interrupt_id)
    if interrupt is None:
        if hides_questions(run):
            raise no_question(run_id, interrupt_id)
        return _gone(run, interrupt_id, answer, earlier, log)
    asked = digest(interrupt.value)
    for known, when in (
        (earlier and earlier["question"], "when an earlier try of this task answered it, with an unknown result"),
        (question, "when the answer was given"),
    ):
        if known and known != asked:
            raise AgentRunInterruptGoneError(
                run_id,
                f"{shown} asks something else than {when}. Nothing was sent",
            )
    probe.set_baseline(run, asked)
    if earlier and (closed := probe.wait_until_closed()):
        # The earlier answer was still being processed.
        return _gone(closed, interrupt_id, answer, earlier, log)
    if earlier and probe.last_state == "unclear":
        raise AgentRunsError(f"{shown} may have accepted the answer of an earlier try. Nothing was sent")
    note = {"run_id": run_id, "interrupt_id": interrupt_id, "question": asked, "answer": digest(answer)}
    if store:
        store.set(_KEY, {**note, "seen": run.updated_at.isoformat() if run.updated_at else None})

    for number in range(1, _MAX_SENDS + 1):
        try:
            run = send(requests.resume_run, **request)
        except AgentRunConflictError:
            # If an answer was sent before, that one can have arrived late, which causes this conflict.
            sent_before = number > 1 or (earlier is not None and note.items() <= earlier.items())
            if sent_before and probe.state(run := probe.read()) == "closed":
                log.info("%s had accepted the answer before", shown)
                return Answered(run, confirmed=False)
            _restore(store, earlier, number)
            raise
        except AgentRunsError as e:
            if not e.in_doubt:
                _restore(store, earlier, number)
                raise
            log.warning("It is unknown whether the answer was accepted (%s); reading the run", e)
            if closed := probe.wait_until_closed():
                log.info("%s is not pending any more: the answer was accepted", shown)
                return Answered(closed, confirmed=False)
            if probe.last_state == "unclear" or number == _MAX_SENDS:
                # Left to the next try.
                raise
            log.info("%s is still pending; sending the answer again", shown)
        else:
            break
    log.info("%s is answered; the run is %s", shown, single_line(run.status))
    return Answered(run, confirmed=True)


def _read(
    probe: RunProbe, run_id: str, interrupt_id: str, question: str | None, earlier: dict[str, Any] | None
) -> AgentRun:
    """
    Return the run as it is before an answer is sent.

    :raises AgentRunsError: If the service shows an older state than an earlier try saw.
    """
    known = {question, earlier["question"] if earlier else None}
    seen = earlier.get("seen") if earlier else None
    since = pendulum.instance(datetime.fromisoformat(seen)) if seen else None
    run = probe.read_until(lambda run: shows(run, interrupt_id, known) and not is_older(run, since))
    if is_older(run, since):
        raise AgentRunsError(
            f"The service shows agent run {single_line(run_id)} as of {run.updated_at}, before an earlier try answered "
            f"interrupt {quoted(interrupt_id)}, so it is unknown whether the answer was accepted"
        )
    return run


def _stored(store: StateStore | None, run_id: str, interrupt_id: str) -> dict[str, Any] | None:
    """Return what an earlier try stored before it answered this interrupt."""
    note = store.get(_KEY) if store else None
    is_ours = note and note["run_id"] == run_id and note["interrupt_id"] == interrupt_id
    return note if is_ours else None


def _restore(store: StateStore | None, earlier: dict[str, Any] | None, number: int) -> None:
    """Restore the stored state after a first answer that the service rejected, so that it does not count as sent."""
    if store and number == 1:
        store.set(_KEY, earlier or {})


def _gone(run: AgentRun, interrupt_id: str, answer: Any, earlier: dict[str, Any] | None, log: Log) -> Answered:
    """Decide whether an interrupt that is not pending was answered by this task or by someone else."""
    if earlier and earlier["answer"] == digest(answer):
        log.warning(
            "An earlier try of this task was sending this answer to interrupt %s of agent run %s, which is not pending "
            "any more. The answer counts as accepted and is not sent again",
            quoted(interrupt_id),
            single_line(run.id),
        )
        return Answered(run, confirmed=False)
    why = "an earlier try of this task gave it another answer" if earlier else "someone else may have answered it"
    raise AgentRunInterruptGoneError.of(run.id, interrupt_id, run, why)
