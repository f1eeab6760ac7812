# SPDX-License-Identifier: Apache-2.0
"""
The audit trail of a review: what was asked, shown, decided, and sent. One JSON document in a folder keeps each trail.

A document's name follows from the decision, so a later try of the task finds the document of an earlier one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.exceptions import AgentRunsError
from airflow_provider_agentruns.text import digest, file_name_part

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_agentruns.reviews.state import ReviewState

#: The XCom key of the trail.
TRAIL = "trail"
#: The keys of the trail that are in a review's XCom value.
RESULT = ("run_id", "interrupt_id", "chosen_options", "params_input", "responded_by", "responded_at", "status")

_FROM_STATE = ("run_id", "interrupt_id", "agent", "label", "question", "shown", "superseded")
FORMAT = 1

#: Fields that are the same in each try of a task, and differ for another decision.
_IDENTITY = (
    *("dag_id", "dag_run_id", "task_id", "map_index"),
    *("run_id", "interrupt_id", "question", "by", "chosen_options", "responded_by"),
)


def audit_trail(
    state: ReviewState, *, status: str | None, delivery: str, rating: dict[str, Any] | None = None
) -> dict[str, Any]:
    """
    Return what an auditor asks for, after a decision.

    :param delivery: ``confirmed`` if the service confirmed the answer; ``presumed`` if the question was gone after the
        answer was sent; ``not sent``; or ``unknown`` if the task failed while the answer may have been accepted.
    """
    known = asdict(state)
    return {
        **{name: known[name] for name in _FROM_STATE},
        **known["decision"],
        "status": status,
        "sent": state.sent[0] if state.sent else None,
        "delivery": delivery,
        "rating": rating,
        "run_updated_at": state.seen,
    }


def for_log(trail: dict[str, Any]) -> dict[str, Any]:
    """Return a trail for a log, with digests instead of what can be personal data."""
    # A request can name options that are not on the form.
    options = trail["chosen_options"] if trail["by"] == "policy" else (trail["shown"] or {}).get("options", ())
    omitted = ("params_input", "agent", "label", "rating", "run_updated_at")
    return {
        **{key: value for key, value in trail.items() if key not in omitted},
        "chosen_options": [option for option in trail["chosen_options"] if option in options],
        "responded_by": (trail["responded_by"] or {}).get("id"),
        "shown": trail["shown"] and digest(trail["shown"]),
        "sent": digest(trail["sent"]),
        "superseded": len(trail["superseded"]),
    }


def open_folder(folder: str, *, create: bool) -> ObjectStoragePath:
    """Return a folder, given as a path or a URL. Raise an AgentRunsError if it does not exist or cannot be reached."""
    from airflow.sdk import ObjectStoragePath

    try:
        path = ObjectStoragePath(folder)
        if create:
            path.mkdir(parents=True, exist_ok=True)
        exists = create or path.exists()
    except Exception as e:
        # Each storage library has its own errors.
        raise AgentRunsError(f"audit_path (extra): cannot use {folder}: {type(e).__name__}: {e}") from e
    if not exists:
        raise AgentRunsError(f"audit_path (extra): {folder} does not exist")
    return path


def write_document(folder: ObjectStoragePath, trail: dict[str, Any], ti: Any) -> str:
    """Write the document of a review, unless an earlier try has written it. Return its path."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "dag_id": ti.dag_id,
        "dag_run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": ti.map_index,
        **trail,
    }
    # A later try can read the same time in another format.
    decided_at = _decided_at(document).astimezone(UTC)
    identity = {name: document.get(name) for name in _IDENTITY}
    document["id"] = digest({**identity, "decided_at": decided_at.isoformat()})
    document |= {"try_number": ti.try_number, "recorded_at": datetime.now(UTC).isoformat()}
    # IDs come from the service and must not lead out of the folder.
    ids = (file_name_part(str(document[name]), 60) for name in ("run_id", "interrupt_id"))
    path = folder / ".".join([decided_at.date().isoformat(), *ids, document["id"][:32], "json"])
    try:
        written = _read(path) if path.exists() else None
        if not isinstance(written, dict):
            path.write_bytes(json.dumps(document, indent=2).encode())
    except Exception as e:
        raise AgentRunsError(
            f"The answer was sent, but its audit document {path} could not be written: {type(e).__name__}: {e}. A "
            "retry writes it, and does not send the answer again"
        ) from e
    if isinstance(written, dict) and written["id"] != document["id"]:
        raise AgentRunsError(f"{path} contains another review")
    return str(path)


def read_documents(folder: ObjectStoragePath, since: datetime | None = None) -> Iterator[dict[str, Any] | str]:
    """Yield the documents of a folder, oldest decision first. For a file that cannot be read, yield the reason."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if not path.name.endswith(".json") or (since and path.name[:10] < since.astimezone(UTC).date().isoformat()):
            continue
        document = _read(path)
        if isinstance(document, str) or not since or _decided_at(document) >= since:
            yield document


def _read(path: ObjectStoragePath) -> dict[str, Any] | str:
    """Return a document, or the reason why a file is none, such as that a worker died while it wrote the file."""
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise ValueError(f"unknown format {document['format']!r}")
        _decided_at(document)
        str(document["id"])
    except (ValueError, KeyError, TypeError) as e:
        return f"{path} cannot be read: {type(e).__name__}: {e}"
    return document


def _decided_at(document: dict[str, Any]) -> datetime:
    moment = datetime.fromisoformat(document["responded_at"])
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
