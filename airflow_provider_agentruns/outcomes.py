# SPDX-License-Identifier: Apache-2.0
"""What a run's status means to a task that waits for it, and what is said about it. Free of Airflow and I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_agentruns.exceptions import (
    AgentRunFailedError,
    AgentRunInterruptedError,
    AgentRunsValueError,
    AgentRunUnfitError,
)

if TYPE_CHECKING:
    # Building the models takes longer than all else here, and Airflow imports this whenever it parses a DAG file.
    from airflow_provider_agentruns.models import AgentRun, Step

#: Statuses that can be waited for; each is one that a run stays in by itself.
AWAITABLE = ("completed", "interrupted", "error")

# In airflow.sdk.serde: what is refused in a dict, and what together makes it an object.
_RESERVED = frozenset({"__classname__", "__id__"})
_RESERVED_TOGETHER = frozenset({"__type", "__var"})
_KEY_LENGTH = 50

# Airflow's processes tell each other integers of 64 bits at most.
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1

_QUESTIONS_SHOWN = 10
_QUESTION_LENGTH = 300

_MESSAGES_SHOWN = 3
_MESSAGE_LENGTH = 500


def has_reached(run: AgentRun, wait_for: Collection[str], *, fail_on_interrupt: bool = False) -> bool:
    """
    Say whether a wait is over.

    :param run: The run; with its steps where it ended as ``error``.
    :param wait_for: The awaited statuses.
    :param fail_on_interrupt: Whether an interrupt that is not awaited ends the wait as a failure.
    :raises AgentRunFailedError: If the run has ended, and not as awaited.
    :raises AgentRunInterruptedError: If it is interrupted, and that counts as a failure.
    """
    if run.status in wait_for:
        return True
    if run.status == "error":
        raise AgentRunFailedError(describe_failure(run))
    if run.status.finished:
        raise AgentRunFailedError(
            f"Agent run {run.id} is {run.status}, and can no longer become {' or '.join(wait_for)}"
        )
    if run.status == "interrupted" and fail_on_interrupt:
        raise AgentRunInterruptedError(
            f"Agent run {run.id} waits for a person: {describe_questions(run)}. Answer with AgentRunReviewOperator or "
            'AgentRunResumeOperator, or set on_interrupt="wait" where somebody answers elsewhere'
        )
    return False


def log_status(tell: Callable[..., Any], run_id: str, status: str, was: str | None) -> None:
    """
    Log what a run has become, in words and as fields that a log store can be searched by.

    :param tell: Takes a level, a message with its arguments, and fields; as ``log`` of Airflow's loggers does.
    :param was: What it was when it was last logged, where it was.
    """
    fields = {"agent_run_id": run_id, "agent_run_status": str(status), "agent_run_was": was}
    tell(logging.INFO, "Agent run %s is %s", run_id, status, **fields)


def summary(run: AgentRun) -> dict[str, Any]:
    """
    Return what a sensor hands on: plain JSON values, without output.

    :raises AgentRunUnfitError: If Airflow cannot hand on what an interrupt holds.
    """
    for number, interrupt in enumerate(run.interrupts):
        check_fit(interrupt.value, f"interrupts[{number}].value of agent run {run.id}")
    return {
        "run_id": run.id,
        "status": str(run.status),
        "agent": run.agent,
        "thread_id": run.thread_id,
        "interrupts": [
            {"id": interrupt.id, "agent": interrupt.agent, "value": interrupt.value} for interrupt in run.interrupts
        ],
    }


def output_envelope(run: AgentRun, artifact_type: str | None = None, *, for_xcom: bool = True) -> dict[str, Any]:
    """
    Return a completed run's output as the service sent it.

    :param artifact_type: Only the artifacts of this type; the envelope's other fields stay.
    :param for_xcom: Whether it is to go into XCom.
    :raises AgentRunUnfitError: If Airflow cannot hand it on.
    """
    envelope = run.raw_output if run.raw_output is not None else {"artifacts": []}
    if artifact_type is not None:
        artifacts = [
            artifact
            for artifact in envelope.get("artifacts") or ()
            if isinstance(artifact, dict) and artifact.get("type") == artifact_type
        ]
        envelope = {**envelope, "artifacts": artifacts}
    if for_xcom:
        check_fit(envelope, f"output of agent run {run.id}")
    return envelope


def check_fit(value: Any, where: str) -> None:
    """
    Refuse what Airflow's XCom would take for something else than the JSON that it is, or cannot keep.

    Some keys mean to Airflow that a dict stands for an object of another class, which is then made in the task
    that reads it: what an agent writes must not decide that.

    :param where: What it is, for the message.
    :raises AgentRunUnfitError: Saying where in it, and what.
    """
    pending: list[tuple[Any, str]] = [(value, where)]
    while pending:
        part, place = pending.pop()
        if isinstance(part, dict):
            if not _RESERVED.isdisjoint(part) or part.keys() >= _RESERVED_TOGETHER:
                keys = ", ".join(sorted((_RESERVED | _RESERVED_TOGETHER) & part.keys()))
                raise AgentRunUnfitError(f"{place} has the key {keys}, which means something else to Airflow's XCom")
            pending.extend((entry, f"{place}.{str(key)[:_KEY_LENGTH]}") for key, entry in part.items())
        elif isinstance(part, list):
            pending.extend((entry, f"{place}[{number}]") for number, entry in enumerate(part))
        elif (isinstance(part, float) and not isfinite(part)) or (
            isinstance(part, int) and not _SMALLEST <= part <= _LARGEST
        ):
            raise AgentRunUnfitError(f"{place} is a number that Airflow's XCom cannot keep")


def describe_failure(run: AgentRun) -> str:
    """Say that a run ended as ``error``, at which step, and what the service says about that."""
    steps = [step for root in run.steps or () for step in root.walk()]
    # The innermost is where it happened; those around it fail because of it.
    failing = [step for step in steps if step.status == "error" or step.type == "error"]
    where = f"at the step {_name(failing[-1])}" if failing else "and the service names no failing step"
    who = f" of {run.agent}" if run.agent else ""
    said = (failing and _messages(failing[-1].model_extra, failing[-1].result)) or _messages(run.model_extra)
    return f"Agent run {run.id}{who} ended in error {where}{': ' if said else ''}{'; '.join(said)}"


def describe_questions(run: AgentRun) -> str:
    """List the questions that a run waits with, each with the interrupt's id."""
    shown = [
        f"{interrupt.label[:_QUESTION_LENGTH]!r} (interrupt {interrupt.id})"
        for interrupt in run.interrupts[:_QUESTIONS_SHOWN]
    ]
    if (more := len(run.interrupts) - _QUESTIONS_SHOWN) > 0:
        shown.append(f"and {more} more")
    return ", ".join(shown) or "the service shows no question yet"


def check_wait_for(wait_for: Collection[str], *, may_be_empty: bool = False) -> tuple[str, ...]:
    """
    Return the awaited statuses as plain strings.

    :raises AgentRunsValueError: If one is none that a run can be waited for to reach.
    """
    statuses = (wait_for,) if isinstance(wait_for, str) else tuple(wait_for)
    if wrong := [status for status in statuses if status not in AWAITABLE]:
        raise AgentRunsValueError(f"wait_for takes {', '.join(AWAITABLE)}; not {', '.join(map(repr, wrong))}")
    if not statuses and not may_be_empty:
        raise AgentRunsValueError(f"wait_for is empty; it takes {', '.join(AWAITABLE)}")
    return tuple(map(str, statuses))


def check_agent(agent: Any) -> None:
    """
    Refuse what is no agent type to choose runs by, nor None for all.

    :raises AgentRunsValueError: If it is.
    """
    if agent is not None and (not isinstance(agent, str) or not agent.strip()):
        raise AgentRunsValueError(f"agent should be an agent type, or None for all, not {agent!r}")


def check_watch(watch: Any) -> Literal["poll", "stream"]:
    """
    Return how a run is watched.

    :raises AgentRunsValueError: If it is neither ``poll`` nor ``stream``.
    """
    if watch not in ("poll", "stream"):
        raise AgentRunsValueError(f'watch should be "poll" or "stream", not {watch!r}')
    checked: Literal["poll", "stream"] = watch
    return checked


def _messages(fields: dict[str, Any] | None, result: Any = None) -> list[str]:
    """
    Return what a failing step, or the run, says of itself.

    The contract has no field for that, though its errors have a ``message``: so look where one would be.

    :param fields: The fields that the contract does not know.
    """
    fields = fields or {}
    errors = fields.get("errors")
    places = [fields, result, fields.get("error"), *(errors if isinstance(errors, list) else ())]
    said = [place.get("message") if isinstance(place, dict) else place for place in places]
    return list(dict.fromkeys(text[:_MESSAGE_LENGTH] for text in said if isinstance(text, str) and text.strip()))[
        :_MESSAGES_SHOWN
    ]


def _name(step: Step) -> str:
    label = step.label or step.name or step.id or "without a name"
    return f"{label!r} ({step.name})" if step.name and step.name != label else repr(label)
