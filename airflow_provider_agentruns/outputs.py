# SPDX-License-Identifier: Apache-2.0
"""
Outputs in object storage, for outputs that are too large for XCom: XCom then holds a reference.

To move all large XCom values, Airflow has a backend (``[common.io] xcom_objectstorage_path``). This module serves a
single task whose output other programs have to find.
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

    The file is named after the run and the artifact type, so that a retry overwrites it, and nothing else does.

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
    is_reference = isinstance(value, dict) and value.keys() == _REFERENCE and isinstance(value["artifacts"], int)
    if not isinstance(value, dict) or not ("artifacts" in value or is_reference):
        raise AgentRunsValueError(
            "load_output takes the XCom value of AgentRunOperator or AgentRunOutputOperator: a dict with artifacts, or "
            f"with output_path; not {type(value).__name__}"
        )
    if not is_reference:
        return value
    from airflow.sdk import ObjectStoragePath

    path = value["output_path"]
    content = ObjectStoragePath(path).read_bytes()
    if hashlib.sha256(content).hexdigest() != value["sha256"]:
        raise AgentRunsError(f"{path} has changed since the output of agent run {value['run_id']} was written")
    output: dict[str, Any] = json.loads(content.decode(errors="surrogatepass"))
    return output
