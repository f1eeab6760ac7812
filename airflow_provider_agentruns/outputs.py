# SPDX-License-Identifier: Apache-2.0
"""
Stores outputs that are too large for XCom in object storage. XCom then holds a reference.

This serves single tasks whose output other programs must find. To move all large XCom values, use Airflow's backend
(``[common.io] xcom_objectstorage_path``).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from airflow_provider_agentruns.exceptions import AgentRunsError, AgentRunsValueError
from airflow_provider_agentruns.text import file_name_part

#: The keys of a reference. No output envelope has exactly these keys.
_REFERENCE = frozenset({"run_id", "output_path", "size", "sha256", "artifacts"})


def store_output(output: dict[str, Any], run_id: str, folder: str, artifact_type: str | None = None) -> dict[str, Any]:
    """
    Write a run's output to object storage, and return a reference to it.

    The run and the artifact type determine the file's name, so only a retry overwrites the file.

    :param folder: A URL that Airflow's ``ObjectStoragePath`` takes, such as ``s3://my_conn@bucket/agent-runs``.
    :param artifact_type: The type of the artifacts, if only those of one type are stored.
    :return: ``{"run_id", "output_path", "size", "sha256", "artifacts"}``: size in bytes, number of artifacts.
    """
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
