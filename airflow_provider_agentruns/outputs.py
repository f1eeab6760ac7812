# SPDX-License-Identifier: Apache-2.0
"""
Outputs that are too large for XCom: they go to object storage, and XCom has a reference to them.

For XCom in general Airflow has a backend that does so by size (``[common.io] xcom_objectstorage_path``); here it is one
task's own choice, where others have to find the file.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.exceptions import AgentRunsError, AgentRunsValueError

if TYPE_CHECKING:
    pass

_PATH = "output_path"

#: What a reference has; an output envelope has nothing of the kind.
_REFERENCE = frozenset({"run_id", _PATH, "size", "sha256", "artifacts"})


def store_output(output: dict[str, Any], run_id: str, folder: str) -> dict[str, Any]:
    """
    Write a run's output to object storage, and return the reference to it.

    The name of the file is the run's id, so that another try writes the same file again.

    :param output: The output envelope.
    :param folder: A URL that Airflow's ``ObjectStoragePath`` takes, such as ``s3://my_conn@bucket/agent-runs``.
    :return: ``{"run_id", "output_path", "size", "sha256", "artifacts"}``: size in bytes, and how many artifacts.
    """
    from airflow.sdk import ObjectStoragePath

    content = json.dumps(output, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")
    where = ObjectStoragePath(folder)
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"{_file_name(run_id)}.json"
    path.write_bytes(content)
    return {
        "run_id": run_id,
        _PATH: str(path),
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "artifacts": len(output.get("artifacts") or ()),
    }


def load_output(value: dict[str, Any]) -> dict[str, Any]:
    """
    Return an output envelope, wherever it is.

    :param value: What an operator has pushed to XCom: the envelope itself, or a reference to it.
    :raises AgentRunsValueError: If it is neither.
    :raises AgentRunsError: If what lies there is not what was written.
    """
    is_reference = isinstance(value, dict) and value.keys() == _REFERENCE and isinstance(value["artifacts"], int)
    if not isinstance(value, dict) or not ("artifacts" in value or is_reference):
        raise AgentRunsValueError(
            "load_output takes the XCom value of AgentRunOperator or AgentRunOutputOperator: a dict with artifacts, or "
            f"with {_PATH}; not {type(value).__name__}"
        )
    if not is_reference:
        # Whatever an agent has written into its output.
        return value
    from airflow.sdk import ObjectStoragePath

    content = ObjectStoragePath(value[_PATH]).read_bytes()
    if hashlib.sha256(content).hexdigest() != value["sha256"]:
        raise AgentRunsError(f"{value[_PATH]} holds something else than the output of agent run {value['run_id']}")
    output: dict[str, Any] = json.loads(content.decode(errors="surrogatepass"))
    return output


def _file_name(run_id: str) -> str:
    """Return a run's id as a file's name: it is the service's word, and must not lead elsewhere."""
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in run_id)
    return safe if safe == run_id else f"{safe[:100]}-{hashlib.sha256(run_id.encode()).hexdigest()[:16]}"
