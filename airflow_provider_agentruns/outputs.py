# SPDX-License-Identifier: Apache-2.0
"""XCom values of tasks: a run's summary, its output, or a reference to the output in object storage."""

from __future__ import annotations

import hashlib
import json
from math import isfinite
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.exceptions import AgentRunSerializationError, AgentRunsError, AgentRunsValueError
from airflow_provider_agentruns.text import file_name_part, single_line

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import AgentRun

# In airflow.sdk.serde: keys that a dict must not have, and keys that together turn it into an object.
_RESERVED = frozenset({"__classname__", "__id__"})
_RESERVED_TOGETHER = frozenset({"__type", "__var"})
#: The keys of a reference. No output envelope has exactly these keys.
_REFERENCE = frozenset({"run_id", "output_path", "size", "sha256", "artifacts"})


def xcom_value(run: AgentRun, output_path: str | None, artifact_type: str | None = None) -> dict[str, Any]:
    """
    Return the XCom value for a completed run: its output as the service sent it, or a reference to it.

    :param output_path: The URL of a folder in object storage; None to put the output itself into XCom.
    :param artifact_type: Keep only artifacts of this type. The other fields of the envelope stay.
    :return: The output, or ``{"run_id", "output_path", "size", "sha256", "artifacts"}`` with the size in bytes and the
        number of artifacts.
    :raises AgentRunSerializationError: If XCom cannot store the output.
    """
    output = run.raw_output if run.raw_output is not None else {"artifacts": []}
    if artifact_type is not None:
        artifacts = [one for one in output.get("artifacts") or () if isinstance(one, dict)]
        output = {**output, "artifacts": [one for one in artifacts if one.get("type") == artifact_type]}
    if output_path:
        return _store_output(output, run.id, output_path, artifact_type)
    check_serializable(output, f"output of agent run {single_line(run.id)}")
    return output


def run_summary(run: AgentRun) -> dict[str, Any]:
    """Return the XCom value of a sensor: plain JSON values, without the output."""
    for number, interrupt in enumerate(run.interrupts):
        check_serializable(interrupt.value, f"interrupts[{number}].value of agent run {single_line(run.id)}")
    return {
        "run_id": run.id,
        "status": str(run.status),
        "agent": run.agent,
        "thread_id": run.thread_id,
        "interrupts": [
            {"id": interrupt.id, "agent": interrupt.agent, "value": interrupt.value} for interrupt in run.interrupts
        ],
    }


def check_serializable(value: Any, place: str) -> None:
    """Raise ``AgentRunSerializationError`` if XCom would not return a JSON value unchanged."""
    # Airflow turns a dict with certain keys into an object of any class. An agent must not control that.
    if isinstance(value, dict):
        if not _RESERVED.isdisjoint(value) or value.keys() >= _RESERVED_TOGETHER:
            keys = ", ".join(sorted((_RESERVED | _RESERVED_TOGETHER) & value.keys()))
            raise AgentRunSerializationError(f"{place} has the key {keys}, which XCom reserves")
        for key, entry in value.items():
            check_serializable(entry, f"{place}.{key[:50]}")
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            check_serializable(entry, f"{place}[{number}]")
    # Airflow's processes exchange integers of at most 64 bits.
    elif (isinstance(value, int) and not -(2**63) <= value < 2**64) or (
        isinstance(value, float) and not isfinite(value)
    ):
        raise AgentRunSerializationError(f"{place} is a number that XCom cannot store")


def _store_output(output: dict[str, Any], run_id: str, folder: str, artifact_type: str | None) -> dict[str, Any]:
    """Write the output to a file, and return a reference. Only a retry writes to the same file."""
    from airflow.sdk import ObjectStoragePath

    content = json.dumps(output, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")
    where = ObjectStoragePath(folder)
    where.mkdir(parents=True, exist_ok=True)
    # The parts have no dots, so no two outputs have the same name.
    parts = [file_name_part(part) for part in (run_id, artifact_type) if part]
    path = where / ".".join([*parts, "json"])
    path.write_bytes(content)
    return {
        "run_id": run_id,
        "output_path": str(path),
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "artifacts": len(output.get("artifacts") or ()),
    }


def load_output(value: dict[str, Any]) -> dict[str, Any]:
    """
    Return an output envelope, from XCom or from object storage.

    :param value: The XCom value of an operator: the envelope, or a reference to it.
    :raises AgentRunsValueError: If ``value`` is neither.
    :raises AgentRunsError: If the file has changed since the task wrote it.
    """
    from airflow.sdk import ObjectStoragePath

    if not isinstance(value, dict) or "artifacts" not in value:
        raise AgentRunsValueError(
            "load_output takes the XCom value of AgentRunOperator or AgentRunOutputOperator: a dict with artifacts, or "
            f"with output_path; not {type(value).__name__}"
        )
    if value.keys() != _REFERENCE or not isinstance(value["artifacts"], int):
        return value
    path = value["output_path"]
    content = ObjectStoragePath(path).read_bytes()
    if hashlib.sha256(content).hexdigest() != value["sha256"]:
        raise AgentRunsError(f"{path} has changed since the output of agent run {value['run_id']} was written")
    output: dict[str, Any] = json.loads(content.decode(errors="surrogatepass"))
    return output
