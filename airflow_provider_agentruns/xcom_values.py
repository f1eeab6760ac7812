# SPDX-License-Identifier: Apache-2.0
"""What tasks write to XCom: a run's summary, or its output. Rejects what Airflow would not read back unchanged."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.exceptions import AgentRunSerializationError
from airflow_provider_agentruns.outputs import store_output

if TYPE_CHECKING:
    # Building the models is slow, and Airflow imports this module whenever it parses a DAG file.
    from airflow_provider_agentruns.models import AgentRun

# In airflow.sdk.serde: what is refused in a dict, and what together makes it an object.
_RESERVED = frozenset({"__classname__", "__id__"})
_RESERVED_TOGETHER = frozenset({"__type", "__var"})
_KEY_LENGTH = 50

# Airflow's processes exchange integers of at most 64 bits.
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


def xcom_value(run: AgentRun, folder: str | None, artifact_type: str | None = None) -> dict[str, Any]:
    """
    Return what a task hands on of a run's output: the output envelope, or, once it is stored, the reference to it.

    :param folder: Where in object storage to put it; None for XCom.
    :param artifact_type: Only the artifacts of this type; the envelope's other fields stay.
    :raises AgentRunSerializationError: If Airflow cannot hand it on.
    """
    output = output_envelope(run, artifact_type, for_xcom=not folder)
    return store_output(output, run.id, folder) if folder else output


def summary(run: AgentRun) -> dict[str, Any]:
    """
    Return what a sensor hands on: plain JSON values, without output.

    :raises AgentRunSerializationError: If Airflow cannot hand on what an interrupt holds.
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
    :raises AgentRunSerializationError: If Airflow cannot hand it on.
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
    :raises AgentRunSerializationError: Saying where in it, and what.
    """
    pending: list[tuple[Any, str]] = [(value, where)]
    while pending:
        part, place = pending.pop()
        if isinstance(part, dict):
            if not _RESERVED.isdisjoint(part) or part.keys() >= _RESERVED_TOGETHER:
                keys = ", ".join(sorted((_RESERVED | _RESERVED_TOGETHER) & part.keys()))
                raise AgentRunSerializationError(
                    f"{place} has the key {keys}, which means something else to Airflow's XCom"
                )
            pending.extend((entry, f"{place}.{str(key)[:_KEY_LENGTH]}") for key, entry in part.items())
        elif isinstance(part, list):
            pending.extend((entry, f"{place}[{number}]") for number, entry in enumerate(part))
        elif (isinstance(part, float) and not isfinite(part)) or (
            isinstance(part, int) and not _SMALLEST <= part <= _LARGEST
        ):
            raise AgentRunSerializationError(f"{place} is a number that Airflow's XCom cannot keep")
